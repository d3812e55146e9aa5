"""Legal forms that are easily refused, and text that is easily let through."""

from __future__ import annotations

import pytest

from validators import bars, syntax
from validators.reader import read, split_tunes

HEAD = "X:1\nM:4/4\nL:1/4\nQ:1/4=100\nK:C\n"
"""The music begins on line 6."""


def found(text: str | bytes, severity: str = "critical") -> list[tuple]:
    """Return code, voice, bar and line of what the gates syntax and bars find."""
    score = read(text)
    findings = syntax.check(score).findings + bars.check(score).findings
    return [(f.code, f.voice, f.bar, f.line) for f in findings if f.severity == severity]


def test_a_line_in_the_body_declares_a_voice() -> None:
    text = HEAD + "V:1\nCDEF|G4|]\nV:2\nC4|C4|]\n"
    assert found(text) == found(text, "warning") == []
    assert [len(voice.bars) for voice in read(text).voices] == [2, 2]
    assert [voice.declared for voice in read(text).voices] == [True, True]


def test_an_inline_voice_declares_nothing_where_others_are_declared() -> None:
    text = HEAD + "V:1\nV:2\n[V:1]C4|[V:2]C4|\n[V:1]C4|][V:2]C4|][V:9]C4|]\n"
    assert ("syntax.voice-undeclared", "9", 2, 9) in found(text)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_is_no_part_of_the_text(mark: str) -> None:
    text = mark + HEAD + "CDEF|G4|]\n"
    assert found(text) == found(text.encode()) == []
    # A fault of the first line keeps its column.
    lost = [(f.line, f.column) for f in read(mark + "X:1\x07\nK:C\nC8|]\n").findings]
    assert (1, 4) in lost
    assert len(split_tunes(mark + HEAD + "C4|]\n\n" + HEAD + "C4|]\n")) == 2


@pytest.mark.parametrize(
    "music",
    [
        "[N:x]CDEF|G4|]",
        "[R:reel][O:somewhere]CDEF|G4|]",
        "c.-c .c-c|c4|]",
        "[ce].-[ce]c2|[c.-e]cc2|]",
        '"C"CDE"G7"F|"^a""Am"c4|]',
    ],
)
def test_legal_forms_that_abc2midi_does_not_know(music: str) -> None:
    outcome = syntax.check(read(f"{HEAD}{music}\n"))
    assert outcome.findings == []
    assert outcome.measures["syntax.notes_heard"] == outcome.measures["syntax.notes_read"]


def test_a_dotted_tie_is_a_tie() -> None:
    first, second = read(HEAD + "[ce.-]2[de]2|]\n").voices[0].bars[0].events
    assert (first.tied_to, second.tied_from, second.tied_pitches) == (True, True, (76,))


@pytest.mark.parametrize(
    ("music", "place"),
    [
        ("CDEF|GABc|c4|cd", ("1", 4, 6)),
        ("CDEF|GABc|c4|cd|", ("1", 4, 6)),
        ("C|CDEF|GABc|\nc2|", ("1", 4, 7)),
    ],
)
def test_a_short_last_bar_without_a_final_barline_breaks_off(music: str, place: tuple) -> None:
    assert found(f"{HEAD}{music}\n") == [("bars.breaks-off", *place)]
    assert found(f"{HEAD}{music.rstrip('|')}|]\n") == []


@pytest.mark.parametrize(
    "music", ["C|CDEF|GAB|", "C|CDEF|GAB", "CDEF|GABc|c4", "CDEF|GAB|]", "CDEF|c3:|C|CDEF|c3|"]
)
def test_a_piece_that_only_lacks_its_final_barline_is_sound(music: str) -> None:
    assert found(f"{HEAD}{music}\n") == []


@pytest.mark.parametrize(
    ("head", "line"),
    [("V:1\nV:2\n", 7), ("V:1\n%%score 1 2\n", 7), ("%%score (1 2)\n", 6)],
)
def test_a_voice_that_never_has_music(head: str, line: int) -> None:
    text = f"{HEAD}{head}V:1\nCDEF|G4|]\n"
    assert found(text) == [("syntax.voice-silent", "2", None, line)]
    stream = "%Baroque\n%Bach\n%Choral\nM:4/4\nL:1/4\nK:C\nV:1\nV:2\n[r:0/0][V:1]C4|]\n"
    assert found(stream) == []
    assert ("syntax.voice-silent", "2", None, 8) in found(stream, "warning")
