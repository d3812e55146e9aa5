"""What the gates work on: sounding notes, chords, keys, instruments, distances between bars."""
