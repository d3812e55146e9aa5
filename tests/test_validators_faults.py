"""Broken input, each case named by its defect: what the reader says, and where."""

from __future__ import annotations

import pytest

from scoregate.abc.reader import read
from scoregate.abc.source_text import MAX_BYTES, MAX_LINE, REFUSED

HEAD = "X:1\nL:1/4\nM:4/4\nK:C\nV:1\nV:2\n"
"""The music begins on line 7."""


def remarks(text: str | bytes, severity: str = "critical") -> list[tuple]:
    """Return code (without gate), voice, bar, line and column of the findings."""
    return [
        (f.code.removeprefix("syntax."), f.voice, f.bar, f.line, f.column)
        for f in read(text).findings
        if f.severity == severity
    ]


def in_second_voice(music: str) -> list[tuple]:
    """Return code, bar and column of what the second of three lines brings in voice 2."""
    line = "[V:1]C4|[V:2]C4|\n"
    text = f"{HEAD}{line}[V:1]C4|[V:2]{music}|\n{line.replace('|', '|]')}"
    found = remarks(text)
    assert all((voice, line) == ("2", 8) for _, voice, _, line, _ in found), found
    return [(code, bar, column) for code, _, bar, _, column in found]


@pytest.mark.parametrize(
    ("name", "music", "expected"),
    [
        ("letter missing before a length", "C2 2", [("length-stray", 2, 17)]),
        ("letter missing before a slash", "C2 /C3/2", [("length-stray", 2, 17)]),
        ("letter missing behind an accidental", "C2 ^ C", [("accidental-stray", 2, 17)]),
        ("letter missing before an octave mark", "C2 ,C", [("octave-stray", 2, 17)]),
        ("chord never closed", "[CE C2", [("chord-open", 2, 14)]),
        ("chord never closed before another", "[CE[CE]2", [("chord-open", 2, 14)]),
        ("chord never opened", "CE]2", [("chord-close", 2, 16), ("length-stray", 2, 17)]),
        ("chord without notes", "[]C4", [("chord-empty", 2, 14)]),
        ("chord with a rest", "[Cz]4", [("chord-content", 2, 16)]),
        ("grace notes never closed", "{CE C4", [("grace-open", 2, 14)]),
        ("grace notes never opened", "CE} C2", [("grace-close", 2, 16)]),
        ("grace notes without notes", "{}C4", [("grace-content", 2, 14)]),
        ("annotation never closed", '"^dolce C4', [("quote-open", 2, 14)]),
        ("annotation closed twice", '"^dolce"" C4', [("quote-open", 2, 22)]),
        ("decoration never closed", "!p C4", [("decoration-open", 2, 14)]),
        ("decoration never opened", "p! C4", [("decoration-open", 2, 15)]),
        ("tuplet that lacks a note", "(3CDE (3CD", [("tuplet-open", 2, 24)]),
        ("tuplet within a tuplet", "(3C(3DEF GA", [("tuplet-nested", 2, 17)]),
        ("tuplet of nothing", "(0C4", [("tuplet", 2, 14)]),
        ("tuplet of a thousand", "(1000C4", [("tuplet", 2, 14)]),
        ("tuplet above nine without a ratio", "(12C4", [("tuplet", 2, 14)]),
        ("broken rhythm before a barline", "C3 D>", [("broken-rhythm", 2, 19)]),
        ("broken rhythm without a note before", ">C4", [("broken-rhythm", 2, 14)]),
        ("broken rhythm of unequal notes", "C2>D C", [("broken-rhythm", 2, 17)]),
        ("broken rhythm both ways", "C<>D C2", [("broken-rhythm", 2, 15)]),
        ("tie into another pitch", "C2-D2", [("tie-dangling", 2, 14)]),
        ("tie into another octave", "C2-c2", [("tie-dangling", 2, 14)]),
        ("tie into another accidental", "C2-^C2", [("tie-dangling", 2, 14)]),
        ("tie into a rest", "[CE]2-z2", [("tie-dangling", 2, 14)]),
        ("tie into the next bar's other pitch", "C2D2-", [("tie-dangling", 2, 16)]),
        ("tie without a note", "-C4", [("tie-stray", 2, 14)]),
        ("length of zero", "C0 C4", [("length-unreadable", 2, 14)]),
        ("length of five digits", "C12345 C4", [("length-unreadable", 2, 14)]),
        ("length that no note has", "C/3 C4", [("length-unreadable", 2, 14)]),
        ("length with slashes and a number", "C//3 C4", [("length-unreadable", 2, 14)]),
        ("length divided by zero", "C/0 C4", [("length-unreadable", 2, 14)]),
        ("rest of zero bars", "Z0 C4", [("length-unreadable", 2, 14)]),
        ("control character", "C4\x07", [("control-character", 2, 16)]),
        ("control character in an annotation", '"^a\x07" C4', [("control-character", 2, 17)]),
        ("NUL byte", "C2\0C2", [("control-character", 2, 16)]),
        ("character of another alphabet", "C4 é", [("character", 2, 17)]),
        ("inline field that doesn't exist", "[Y:3]C4", [("field-unknown", 2, 14)]),
        ("inline metre that is none", "[M:4/0]C4", [("metre-unreadable", 2, 14)]),
        ("inline key that is none", "[K:Hmoll]C4", [("key-unreadable", 2, 14)]),
        ("inline unit that is none", "[L:x]C4", [("unit-unreadable", 2, 14)]),
        ("inline macro", "[m:~n=n/o/n]C4", [("macro", 2, 14)]),
        ("layers over several bars", "(&C4&)", [("overlay", 2, 14), ("overlay", 2, 18)]),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_faults_within_a_bar(name: str, music: str, expected: list[tuple]) -> None:
    assert in_second_voice(music) == expected


@pytest.mark.parametrize(
    ("name", "music", "code"),
    [
        ("slur that ends nothing", "C2) C2", "slur-close"),
        ("slur that never ends", "(C2 C2", "slur-open"),
        ("letter without a meaning", "q C4", "letter-unknown"),
        ("microtone", "^/C4", "microtone"),
    ],
)
def test_oddities_within_a_bar_are_warnings(name: str, music: str, code: str) -> None:
    text = f"{HEAD}[V:1]C4|[V:2]{music}|\n[V:1]C4|]" + "[V:2]C4|]\n"
    assert remarks(text) == []
    assert [(c, voice, bar) for c, voice, bar, _, _ in remarks(text, "warning")] == [(code, "2", 1)]


def test_a_tie_over_a_repeat_or_into_an_ending_may_lead_elsewhere() -> None:
    assert remarks("X:1\nL:1/4\nM:4/4\nK:C\n|:C4|D4-:|E4|]\n") == []
    assert remarks("X:1\nL:1/4\nM:4/4\nK:C\n|:C4-|1 C4:|2 D4-|D4|]\n") == []


def test_a_tie_at_the_end_leads_nowhere() -> None:
    assert remarks("X:1\nL:1/4\nM:4/4\nK:C\nC4-|]\n") == [("tie-dangling", "1", 1, 5, 1)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("empty", "", [("empty", None, None, 1, 1)]),
        ("only blank lines", "\n \n\n", [("empty", None, None, 1, 1)]),
        ("no key", "X:1\nL:1/4\nM:4/4\nC4|]\n", [("key-missing", None, None, 4, 1)]),
        ("no reference", "L:1/4\nM:4/4\nK:C\nC4|]\n", [("reference-missing", None, None, 1, 1)]),
        ("header only", "X:1\nM:4/4\nK:C\n", [("no-music", None, None, 3, 1)]),
        ("rests only", "X:1\nL:1/4\nM:4/4\nK:C\nz4|]\n", [("no-music", None, None, 5, 1)]),
        ("barlines only", "X:1\nM:4/4\nK:C\n||||\n", [("no-music", None, None, 4, 1)]),
        ("no such key", "X:1\nM:4/4\nK:H\nC8|]\n", [("key-unreadable", None, None, 3, 3)]),
        ("no such metre", "X:1\nM:x\nK:C\nC8|]\n", [("metre-unreadable", None, None, 2, 3)]),
        ("no such unit", "X:1\nL:0\nM:4/4\nK:C\nC8|]\n", [("unit-unreadable", None, None, 2, 3)]),
        ("macro", "X:1\nL:1/4\nm:~n=n\nM:4/4\nK:C\nC4|]\n", [("macro", None, None, 3, 1)]),
        (
            "blank line in the header",
            "X:1\n\nL:1/4\nM:4/4\nK:C\nC4|]\n",
            [("blank-line", None, None, 2, 1)],
        ),
        (
            "blank line in mid-tune",
            "X:1\nL:1/4\nM:4/4\nK:C\nC4|\n\nC4|]\n",
            [("blank-line", None, None, 6, 1)],
        ),
        (
            "two tunes",
            "X:1\nL:1/4\nM:4/4\nK:C\nC4|]\n\nX:2\nK:C\nC4|]\n",
            [("several-tunes", None, None, 7, 1)],
        ),
        (
            "a tune without a blank line before it",
            "X:1\nL:1/4\nM:4/4\nK:C\nC4|]\nX:2\n",
            [("second-reference", None, None, 6, 1)],
        ),
        (
            "a block that never ends",
            "X:1\nL:1/4\nM:4/4\nK:C\n%%begintext\nC4|]\n",
            [("block-open", None, None, 7, 1), ("no-music", None, None, 7, 1)],
        ),
        (
            "groups that never close",
            "X:1\n%%score ( 1 2\nL:1/4\nM:4/4\nK:C\nV:1\nC4|]\nV:2\nC4|]\n",
            [("score-groups", None, None, 2, 1)],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)  # fmt: skip
def test_faults_of_the_tune(name: str, text: str, expected: list[tuple]) -> None:
    assert remarks(text) == expected


@pytest.mark.parametrize(
    ("field", "voice"),
    [("K:C octave=x", None), ("K:C transpose=999", None), ("K:C\nV:1 transpose=-100", "1")],
)
def test_transpositions_that_cannot_be_meant(field: str, voice: str | None) -> None:
    text = f"X:1\nM:4/4\n{field}\nC8|]\n"
    line = 3 + field.count("\n")
    assert remarks(text) == [("transposition", voice, None, line, 3)]


def test_voices_of_a_line() -> None:
    twice = f"{HEAD}[V:1]C4|[V:2]C4|[V:1]C4|\n[V:1]C4|][V:2]C4|]\n"
    assert remarks(twice) == [("voice-twice", "1", 1, 7, 17)]
    missing = f"{HEAD}[V:1]C4|[V:2]C4|\n[V:1]C4|]\n"
    assert remarks(missing) == [("voice-missing", "2", 2, 8, 1)]
    undeclared = f"{HEAD}[V:1]C4|[V:2]C4|\n[V:1]C4|][V:3]C4|]\n"
    assert remarks(undeclared) == [
        ("voice-undeclared", "3", 2, 8, 10),
        ("voice-missing", "2", 2, 8, 1),
    ]
    in_score_only = f"{HEAD}[V:1]C4|[V:2]C4|\n[V:1]C4|][V:2]C4|]\n".replace("V:2\n", "", 1)
    in_score_only = in_score_only.replace("L:1/4\n", "%%score 1 2\nL:1/4\n", 1)
    assert remarks(in_score_only) == [("voice-undeclared", "2", 1, 7, 9)]
    unnamed = f"{HEAD}[V:1]C4|[V:2]C4|\n[V:1]C4|[V:2]C4|\nC4|][V:2]C4|]\n"
    assert remarks(unnamed) == [
        ("voice-unnamed", None, 3, 9, 1),
        ("voice-missing", "1", 3, 9, 1),
    ]
    silent = f"{HEAD}V:3\n[V:1]C4|[V:2]C4|\n[V:1]C4|][V:2]C4|]\n"
    assert remarks(silent) == [("voice-silent", "3", None, 7, 1)]


STREAM = (
    "%Baroque\n%Bach, Johann Sebastian\n%Choral\nL:1/4\nM:4/4\nK:C\nV:1\nV:2\n"
    "[r:0/2][V:1]C4|[V:2]C4|\n[r:1/1][V:1]C4|\n[r:2/0][V:1]C4|][V:2]C4|]\n"
)


def test_a_stream_may_leave_out_resting_voices() -> None:
    assert remarks(STREAM) == []
    assert remarks(STREAM, "warning") == []


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("broken off", "[r:2/0][V:1]C4|][V:2]C4|]\n", "", ("stream-truncated", None, 2, 10, 1)),
        ("a line lost", "[r:1/1][V:1]C4|\n", "", ("stream-order", None, 2, 10, 1)),
        ("a line twice", "[r:2/0]", "[r:1/1]", ("stream-order", None, 3, 11, 1)),
        ("text behind the end", "C4|]\n", "C4|]\n\n[V:1]C4|\n", ("blank-line", None, 4, 12, 1)),
    ],
)
def test_faults_of_a_stream(name: str, old: str, new: str, expected: tuple) -> None:
    text = STREAM[::-1].replace(old[::-1], new[::-1], 1)[::-1]
    assert text != STREAM
    assert expected in remarks(text)


def test_bytes_that_are_no_utf8() -> None:
    data = "X:1\nT:Fürst\nL:1/4\nM:4/4\nK:C\nC4|]\n".encode("latin-1")
    score = read(data)
    assert [(f.code, f.severity, f.line, f.column) for f in score.findings] == [
        ("syntax.encoding", "warning", 2, 4)
    ]
    assert score.title == "Fürst"


def test_notes_behind_an_empty_header_are_called_lost() -> None:
    # Players of ABC in games write files so, without barlines.
    found = read("X:1\nL:1/4\nK:C\n\nz2 [ce]/2 [df]/2\n").findings
    assert ("syntax.blank-line", "critical", 4) in [(f.code, f.severity, f.line) for f in found]


def test_a_third_of_a_note_says_what_to_write() -> None:
    finding = next(f for f in read("X:1\nK:C\nC/3D/3E/3|\n").findings if f.severity == "critical")
    assert finding.code == "syntax.length-unreadable"
    assert "(3" in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "A" * (MAX_BYTES + 1),
        b"A" * (MAX_BYTES + 1),
        HEAD + "A" * (MAX_LINE + 1),
        HEAD + "".join(f"[V:v{i}]z|" for i in range(1100)),
        HEAD + "^" * 6000,
    ],
    ids=["100 MB", "100 MB of bytes", "one endless line", "too many voices", "noise"],
)
def test_what_is_too_much_is_refused(text: str | bytes) -> None:
    score = read(text)
    assert score.voices == []
    assert score.findings[0].code == REFUSED


def test_many_findings_of_a_kind_are_counted() -> None:
    score = read(HEAD + "[V:1]" + "^ " * 300 + "|[V:2]C4|\n")
    stray = [f for f in score.findings if f.code == "syntax.accidental-stray"]
    assert len(stray) == 9
    assert stray[-1].message == "292 more of the kind accidental-stray follow"
