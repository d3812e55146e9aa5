"""From a Score and its finished text to MIDI, MusicXML, engraving, PDF and audio."""
