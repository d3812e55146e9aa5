"""Legal forms that are easily refused, and text that is easily let through."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from scoregate.abc.reader import read
from scoregate.abc.source_text import split_tunes
from scoregate.validators.checking import check_bytes
from scoregate.validators.examination import examine
from scoregate.validators.gates import syntax

HEAD = "X:1\nM:4/4\nL:1/4\nQ:1/4=100\nK:C\n"
"""The music begins on line 6."""


def found(text: str | bytes, severity: str = "critical") -> list[tuple]:
    """Return code, voice, bar and line of what the gates syntax and bars find."""
    findings = examine(text, gates=("syntax", "bars"), profile="notagen").findings
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


def test_words_among_the_notes_are_no_music() -> None:
    prose = "CDEF|GAhjkqBc|c4|]\nhmmm I hop | you... lik it. ok\n"
    assert ("syntax.not-music", "1", 2, 6) in found(HEAD + prose)
    assert read(HEAD + "CDEF|GAhjkqBc|c4|]\n").findings[0].found == "hjkq"
    assert found(HEAD + "CDqEF|GABc|cdhef|c4|]\n") == []
    # Many by themselves, none beside another.
    assert found(HEAD + "q C h D i E j F|k G A B c|]\n") == [("syntax.not-music", "1", 1, 6)]
    assert found(HEAD + "[U:q=!turn!][U:h=!turn!][U:i=!turn!]qhiCDEF|qhiG4|]\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "<html><body class='a|b'>\n" + "<p>A page | with &amp; more</p>\n" * 10,
        "It was the best of times,\n\nit was the worst: and so on.\n",
        HEAD + "It was the best of times, it was the worst of times, again\n" * 10,
        random.Random(1).randbytes(3000),
        HEAD.encode() + random.Random(1).randbytes(3000),
        HEAD + "^2 " * 100,
    ],
    ids=["HTML", "prose", "prose behind a header", "noise", "noise behind a header", "one fault"],
)
def test_what_is_no_music_is_said_in_few_words(text: str | bytes) -> None:
    findings = syntax.check(read(text)).findings
    assert any(finding.severity == "critical" for finding in findings)
    assert max(Counter(finding.code for finding in findings).values()) <= 9
    assert len(findings) <= 28


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named(encoding: str) -> None:
    score = read((HEAD + "CDEF|G4|]\n").encode(encoding))
    assert [f.code for f in score.findings] == ["syntax.refused"]
    assert "UTF-16" in score.findings[0].message


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\0", "zip archive"),
        (b"\x1f\x8b\x08\x08\0", "gzip"),
        (b"%PDF-1.7\n%\xe2\xe3\n", "PDF"),
        (b"MThd\0\0\0\6", "MIDI"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n", "XML"),
        (b"<!DOCTYPE html>\n<pre>X:1\nK:C\nC|]\n</pre>", "web page"),
    ],
)
def test_files_of_other_formats_are_named(content: bytes, what: str) -> None:
    for text in (content, content.decode("latin-1").removeprefix("ï»¿")):
        (finding,) = check_bytes("a", text).findings
        assert finding.code == "syntax.refused"
        assert what in finding.message


def test_lines_of_all_voices_beside_lines_of_one() -> None:
    head = HEAD + "V:1\nV:2\n"
    text = head + "[V:1]GABc|[V:2]G,4|\n[V:1]CDEF|G4|\n[V:2]C,4|C,4|\n[V:1]c4|][V:2]C4|]\n"
    assert found(text) == found(text, "warning") == []
    assert [len(voice.bars) for voice in read(text).voices] == [4, 4]
    assert read(text).voices[1].bars[2].line == 10
    # A lost mark makes no such text: the voice is missing, and is said to be.
    lost = head + "[V:1]GABc|[V:2]G,4|\n[V:1]CDEF|C,4|\n[V:1]c4|][V:2]C4|]\n"
    assert ("syntax.voice-missing", "2", 2, 9) in found(lost)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("K:C", "K:Hmin", "'Hmin' is no key (line 5, column 3)"),
        ("4/4", "4/0", "'4/0' is no time signature (line 2, column 3)"),
        ("L:1/4", "L:1/5", "'1/5' is no unit length; 1, 1/2, 1/4, 1/8, 1/16 and so on are"),
        ("C4|]", "[K:Hmin]C4|]", "voice 1, bar 1: 'Hmin' is no key (line 6, column 1)"),
        ("C4|]", "C4|]\n\nX:2\nK:C\nC4|]", "split the file, one tune a file (line 8, column 1)"),
        ("C4|]", "[r:0/1]C4|", "the stream breaks off: 1 line is missing"),
    ],
)
def test_messages_say_what_stands_there(old: str, new: str, message: str) -> None:
    findings = syntax.check(read((HEAD + "C4|]\n").replace(old, new))).findings
    assert [message in str(f) for f in findings if f.severity == "critical"] == [True]
    assert all(f.line is not None or f.column is None for f in findings)


@pytest.mark.parametrize(
    ("tempo", "message"),
    [
        ("1/4=0", "is no tempo that can be played; 5 to 1000 quarter notes a minute are"),
        ("1/4=99999", "is no tempo that can be played; 5 to 1000 quarter notes a minute are"),
        ("abc", 'is no tempo; 1/4=100 is, or words in quotation marks: "Allegro"'),
    ],
)
def test_impossible_tempi_are_warnings(tempo: str, message: str) -> None:
    texts = (
        HEAD.replace("1/4=100", tempo) + "C4|]\n",
        HEAD + f"[Q:{tempo}]C4|]\n",
        HEAD + f"C4|\nQ:{tempo}\nC4|]\n",
        HEAD + f"V:1\nV:2\n[Q:{tempo}][V:1]C4|][V:2]C4|]\n",
    )
    for text in texts:
        (finding,) = syntax.check(read(text)).findings
        assert (finding.code, finding.severity) == ("syntax.tempo-unreadable", "warning")
        assert finding.message == f"'{tempo}' {message}"


@pytest.mark.parametrize("tempo", ["1/4=100", "120", '"Allegro"', '"Adagio" 1/8=40', "3/8=60"])
def test_possible_tempi_are_sound(tempo: str) -> None:
    assert syntax.check(read(HEAD.replace("1/4=100", tempo) + "C4|]\n")).findings == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("music", "code"),
    [
        ("{" + "c" * 300_000 + "}C8|", "syntax.grace-content"),
        ("C8" + "&" * 100_000 + "|", "syntax.overlay"),
    ],
    ids=["grace notes", "layers"],
)
def test_what_no_music_has_so_many_of_is_a_fault_and_not_a_crash(music: str, code: str) -> None:
    checked = check_bytes("a", f"X:1\nM:4/4\nL:1/8\nK:C\n{music}C8|]\n")
    assert checked.status == "rejected"
    assert code in {finding.code for finding in checked.findings}
