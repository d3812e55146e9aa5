"""What the gates compute from a score: one module for each subject.

==================  ==================================================================
module              what it gives
==================  ==================================================================
sounding            the sounding notes of a score as arrays, and time slices of its bars
chords              which beats sound as a triad or a seventh chord
chance              how far the notes are from notes drawn at random
misplaced           voices that fit better a semitone or a beat away
counterpoint        crossings, and parallel fifths and octaves
key_finding         correlation with the major and minor keys, and the tonic
dtw                 distance between bars by dynamic time warping
parts               the instrument or voice that each voice of a score is written for
instruments         names of instruments and voices, and their ranges
players             how many notes at once the player of a part can sound
hands               chords that two hands can't reach
octave_slips        notes of a choir that look an octave off
shared_passages     a piece as symbols that are the same in every key
novelty_index       the index of known pieces, and the longest shared passage
theme_distance      how far a piece is from a theme, for variations
midi_counts         how many notes a MIDI file holds
==================  ==================================================================
"""

__all__: list[str] = []  # its modules are the face of this package
