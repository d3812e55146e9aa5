"""The General MIDI program of each voice.

Names are resolved by :mod:`scoregate.validators.analysis.instruments`, so that a part that the
ranges gate
takes for a clarinet also sounds like one; here stands only the program of each entry.
A name with several meanings takes the one whose family the rest of the score belongs to.
Choirs and soloists sing "ooh" on *Choir Aahs*: *Voice Oohs* and *Synth Voice* fade in too
slowly in common soundfonts for eighth notes to be told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scoregate.abc.score import Voice
from scoregate.validators.analysis.instruments import Instrument, resolve

PIANO = 0
CHOIR = 52

_PROGRAMS = {
    "piccolo": 72,
    "flute": 73,
    "alto flute": 73,
    "bass flute": 73,
    "recorder": 74,
    "oboe": 68,
    "oboe d'amore": 68,
    "english horn": 69,
    "clarinet": 71,
    "e flat clarinet": 71,
    "basset horn": 71,
    "bass clarinet": 71,
    "bassoon": 70,
    "contrabassoon": 70,
    "soprano saxophone": 64,
    "alto saxophone": 65,
    "tenor saxophone": 66,
    "baritone saxophone": 67,
    "horn": 60,
    "trumpet": 56,
    "cornet": 56,
    "cornett": 56,
    "trombone": 57,
    "alto trombone": 57,
    "bass trombone": 57,
    "tuba": 58,
    "euphonium": 58,
    "ophicleide": 58,
    "timpani": 47,
    "glockenspiel": 9,
    "xylophone": 13,
    "celesta": 8,
    "vibraphone": 11,
    "marimba": 12,
    "tubular bells": 14,
    "unpitched percussion": 116,
    "violin": 40,
    "viola": 41,
    "viola d'amore": 41,
    "violoncello": 42,
    "contrabass": 43,
    "bass part": 43,
    "viola da gamba": 42,
    "harp": 46,
    "guitar": 24,
    "lute": 24,
    "mandolin": 25,
    "electric bass": 33,
    "strings": 48,
    "piano": PIANO,
    "harpsichord": 6,
    "organ": 19,
    "organ pedal": 19,
    "harmonium": 20,
    "accordion": 21,
    "folk": 15,
}
_OF_FAMILY = {
    "woodwind": 73,
    "brass": 61,
    "percussion": 47,
    "strings": 48,
    "keyboard": PIANO,
    "voice": CHOIR,
    "folk": 15,
}


def used() -> list[int]:
    """Return every program that a voice may sound with, sorted."""
    return sorted({*_PROGRAMS.values(), *_OF_FAMILY.values()})


def programs_of(voices: Sequence[Voice]) -> list[int]:
    """Return the program (0-127) of each voice; piano where nothing is known."""
    meanings = [resolve(voice.instrument or voice.name) for voice in voices]
    families = Counter(
        entry.family
        for meaning in meanings
        for alternatives in meaning[:1]
        # A name that could be several things says nothing of the others.
        for entry in (alternatives if len(alternatives) == 1 else ())
    )
    return [
        _program(max(meaning[0], key=lambda entry: families[entry.family])) if meaning else PIANO
        for meaning in meanings
    ]


def _program(entry: Instrument) -> int:
    return _PROGRAMS.get(entry.key, _OF_FAMILY.get(entry.family, PIANO))
