"""The reader's sounding pitches: keys, accidentals, ties, clefs, transposition."""

from __future__ import annotations

import pytest

from scoregate.abc.reader import read

SCALE = "CDEF GABc|"


def pitches(music: str, key: str = "C", voice: str = "") -> list[tuple[int, ...]]:
    """Return the pitches of all notes of one voice of eighths."""
    declared = f"V:1 {voice}\n" if voice else ""
    (read_voice,) = read(f"X:1\nM:4/4\nL:1/8\nK:{key}\n{declared}{music}\n").voices
    return [event.pitches for bar in read_voice.bars for event in bar.events if event.pitches]


def flat(music: str, key: str = "C", voice: str = "") -> list[int]:
    """Return the pitches of single notes."""
    return [pitch for chord in pitches(music, key, voice) for pitch in chord]


@pytest.mark.parametrize(
    ("key", "altered"),
    [
        ("C", {}),
        ("none", {}),
        ("", {}),
        ("G", {"F": 1}),
        ("Em", {"F": 1}),
        ("E minor", {"F": 1}),
        ("D", {"F": 1, "C": 1}),
        ("DMix", {"F": 1}),
        ("D Mixolydian", {"F": 1}),
        ("Ddor", {}),
        ("APhr", {"B": -1}),
        ("BLoc", {}),
        ("Flyd", {}),
        ("F", {"B": -1}),
        ("Bb", {"B": -1, "E": -1}),
        ("Bbm", {"B": -1, "E": -1, "A": -1, "D": -1, "G": -1}),
        ("F#", {"F": 1, "C": 1, "G": 1, "D": 1, "A": 1, "E": 1}),
        ("C#m", {"F": 1, "C": 1, "G": 1, "D": 1}),
        ("Cb", dict.fromkeys("CDEFGAB", -1)),
        ("HP", {"F": 1, "C": 1}),
        ("D =c", {"F": 1}),
        ("D phr ^f", {"B": -1, "E": -1, "F": 1}),
        ("C exp _b ^f", {"B": -1, "F": 1}),
        ("^f _b", {"B": -1, "F": 1}),
        ("G treble", {"F": 1}),
        ("G clef=bass", {"F": 1}),
    ],
)
def test_key_signatures(key: str, altered: dict[str, int]) -> None:
    natural = dict(zip("CDEFGAB", (60, 62, 64, 65, 67, 69, 71), strict=True))
    expected = [natural[letter] + altered.get(letter, 0) for letter in "CDEFGAB"]
    assert flat("CDEF GABc|", key) == [*expected, expected[0] + 12]


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("C, C c c' c''|", [48, 60, 72, 84, 96]),
        ("^C C =C C|C|", [61, 61, 60, 60, 60]),
        ("^^C __B =A|", [62, 69, 69]),
        # An accidental holds in its octave only.
        ("^F f F|", [66, 77, 66]),
        ("_B4-|B2 B2|", [70, 70, 71]),
        ("^c4-|c c =c|", [73, 73, 72, 72]),
        ("{^d}C d|", [75, 60, 75]),
        ("[^CE]C|", [61, 64, 61]),
        ("^C[K:D]C F|[K:C]C F|", [61, 61, 66, 60, 65]),
        ("[K:bass]F|", [65]),
    ],
)
def test_accidentals(music: str, expected: list[int]) -> None:
    assert flat(music) == expected


def test_accidentals_reach_as_far_as_the_text_says() -> None:
    head = "X:1\nM:4/4\nL:1/4\n%%propagate-accidentals {}\nK:C\n^F f F z|\n"

    def notes(reach: str) -> list[int]:
        (voice,) = read(head.format(reach)).voices
        return [event.pitches[0] for event in voice.bars[0].events if event.pitches]

    assert notes("octave") == [66, 77, 66]
    assert notes("pitch") == [66, 78, 66]
    assert notes("not") == [66, 77, 65]


@pytest.mark.parametrize(
    ("properties", "shift"),
    [
        ("treble", 0),
        ("clef=bass", 0),
        ("bass3", 0),
        ("alto", 0),
        ("treble-8", -12),
        ("treble+8", 12),
        ("clef=treble-8", -12),
        ('clef="bass-8"', -12),
        ("treble-15", -24),
        ("treble8", 0),
        ("treble^8", 0),
        ("treble_8", 0),
        ("octave=-1", -12),
        ("octave=1 transpose=2", 14),
        ("treble-8 transpose=-2", -14),
        ("transpose=-8", -8),
        ("transpose=8", 8),
        ("middle=d", 0),
        ('nm="octave=2"', 0),
    ],
)
def test_clefs_and_transposition(properties: str, shift: int) -> None:
    assert flat("C|", voice=properties) == [60 + shift]


def test_transposition_in_the_key_field_and_inline() -> None:
    assert flat("C|", key="C octave=-1") == [48]
    assert flat("C[K:C treble-8]C[K:treble]C|") == [60, 48, 60]
    assert flat("C[V:1 transpose=3]C|", voice="treble") == [60, 63]


def test_a_voice_has_its_own_key() -> None:
    text = "X:1\nM:1/4\nL:1/4\nK:F\nV:1\nV:2 transpose=-2\n[V:1]B|[V:2][K:G]F|\n[V:1]B|[V:2]F|\n"
    first, second = read(text).voices
    assert [bar.events[0].pitches for bar in first.bars] == [(70,), (70,)]
    assert [bar.events[0].pitches for bar in second.bars] == [(64,), (64,)]
    assert [bar.key for bar in second.bars] == ["G", "G"]


def test_ties_tell_which_pitches_go_on() -> None:
    (voice,) = read("X:1\nM:4/4\nL:1/4\nK:C\n[CE]2-[CG]2|[C-E]2C2-|C{d}z3|\n").voices
    events = [event for bar in voice.bars for event in bar.events if event.pitches]
    assert [(event.tied_to, event.tied_from, event.tied_pitches) for event in events] == [
        (True, False, ()),
        (False, True, (60,)),
        (True, False, ()),
        (True, True, (60,)),
        (False, True, (60,)),
        (False, False, ()),
    ]


def test_a_tie_may_be_respelt() -> None:
    score = read("X:1\nM:4/4\nL:1/4\nK:C\n^C4-|_D4|]\n")
    assert score.findings == []
    assert score.voices[0].bars[1].events[0].tied_pitches == (61,)


def test_an_arpeggio_may_be_held_into_its_chord() -> None:
    score = read("X:1\nM:4/4\nL:1/4\nK:C\nC-E-G-c-|[CEGc]4|]\n")
    assert score.findings == []
    assert score.voices[0].bars[1].events[0].tied_pitches == (60, 64, 67, 72)


def test_a_pitch_beyond_midi_is_a_fault_and_taken_as_the_nearest() -> None:
    score = read("X:1\nM:1/4\nL:1/4\nK:C\nC,,,,,,|]\n")
    assert [finding.code for finding in score.findings] == ["syntax.pitch"]
    assert score.voices[0].bars[0].events[0].pitches == (0,)
