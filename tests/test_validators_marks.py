"""Repeats, endings, octave signs, hairpins, words and tempos that are not complete."""

from __future__ import annotations

import doctest

import pytest

from scoregate.abc.reader import read
from scoregate.validators import examine
from scoregate.validators.gates import marks


def tune(body: str, tempo: str = "1/4=90") -> str:
    return f"X:1\nM:4/4\nL:1/4\nQ:{tempo}\nK:C\n{body}\n"


def found(body: str, tempo: str = "1/4=90") -> list[tuple]:
    items = marks.check(read(tune(body, tempo))).findings
    return [(it.code.partition(".")[2], it.severity, it.bar) for it in items]


@pytest.mark.parametrize(
    "body",
    [
        "CDEF|GABc|c4|]",
        "|:CDEF|GABc:|",
        "CDEF|GABc:|",  # from the beginning
        "|:CDEF|1GABc:|2c4|]",
        "|:CDEF|1,3GABc:|2,4c4|]",
        "|:CDEF|[1GABc:|[2c4:|[3E4|]",
        "|:CDEF|[1-3GABc:|[4c4|]",
        "|:CDEF::GABc:|",
        "CDEF|:GABc:|:cBAG:|",
        "|:CDEF|1GABc:|2c4||:cBAG|1G4:|2C4|]",
        '|:CDEF|["Fine"c4:|',
        "!8va(!CDEF!8va)!|!<(!GA!<)!Bc|]",
    ],
)
def test_what_is_complete(body):
    assert found(body) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("CDEF|[2GABc|c4|]", ("ending-without-first", "critical", 2)),
        ("|:CDEF:|2GABc|c4|]", ("ending-without-first", "critical", 2)),
        ("|:CDEF|1c4:|2d4||CDEF|[2G4|]", ("ending-without-first", "critical", 5)),
        ("|:CDEF|[1GABc:|c4|]", ("ending-open", "warning", 2)),
        ("|:CDEF|GABc|c4|]", ("repeat-open", "warning", 1)),
        ("|:CDEF|:GABc:|c4|]", ("repeat-open", "warning", 1)),
        ("CDEF|GABc|:c4|]", ("repeat-open", "warning", 3)),
        ("CDEF|!8va(!GABc|c4|]", ("octave-open", "warning", 2)),
        ("CDEF|GA!15mb(!Bc|c4|]", ("octave-open", "warning", 2)),
        ("CDEF|!<(!GABc|c4|]", ("hairpin-open", "warning", 2)),
        ("CDEF|!crescendo(!GA!crescendo)!Bc|!diminuendo(!c4|]", ("hairpin-open", "warning", 3)),
    ],
)
def test_what_is_not_complete(body, expected):
    assert found(body) == [expected]


def test_a_second_ending_alone_rejects_the_piece():
    assert not examine(tune("CDEF|[2GABc|c4|]"), gates=["marks"]).verdict().passed


def test_an_ending_that_the_converter_may_have_lost_only_warns():
    def endings(body):
        text = tune(body).replace("K:C", "I:linebreak $\nK:C")
        return [(it.code, it.severity) for it in marks.check(read(text)).findings]

    assert endings("CDEF:|2GABc|c4|]") == [("marks.ending-without-first", "warning")]
    assert endings("CDEF|[2GABc|c4|]") == [("marks.ending-without-first", "critical")]


def test_converted_words_have_a_few_more_syllables_than_notes():
    def words(line):
        text = tune(f"CDEF|]\nw: {line}").replace("K:C", "I:linebreak $\nK:C")
        return [it.code for it in marks.check(read(text)).findings]

    assert words("one two three four five") == []
    assert words("one two three four five six seven eight") == ["marks.syllables"]


def test_a_hairpin_may_end_in_another_voice():
    lines = "[V:1]!<(!CDEF|[V:2]C4|\n[V:1]GABc|]{}[V:2]!<)!C4|]"
    head = "X:1\nM:4/4\nL:1/4\nQ:1/4=90\nK:C\nV:1\nV:2\n"
    assert marks.check(read(head + lines.format("") + "\n")).findings == []
    (item,) = marks.check(read(head + lines.format("").replace("!<)!", "") + "\n")).findings
    assert (item.voice, item.bar, item.line) == ("1", 1, 8)


@pytest.mark.parametrize(
    ("words", "over"),
    [
        ("one two three four", False),
        ("one two three four five", True),
        ("A-ve Ma-ri", False),
        ("A-ve Ma-ri-a", True),
        ("one two * four _ _", False),  # signs behind the last syllable
        ("1.~one two three four", False),
        ("1. one two three four", False),
        ("one~or two three four", False),
    ],
)
def test_syllables(words, over):
    assert (found(f"CDEF|]\nw: {words}") == [("syllables", "warning", None)]) is over


def test_verses_and_lines_are_counted_for_themselves():
    assert found("CD EF|\nw: one two three four\nw: and two more here\nG4|]\nw: end") == []
    assert found("CDEF|\nGABc|\nw: one two three four five six seven eight\nc4|]") == []
    items = marks.check(read(tune("CDEF|\nw: a b c d\nG4|]\nw: a b"))).findings
    assert [(it.line, it.message) for it in items] == [(9, "2 syllables for 1 notes")]


@pytest.mark.parametrize(
    ("tempo", "odd"),
    [
        ("1/4=90", False), ("1/4=600", True), ("1/4=8", True), ("1/8=300", False),
        ("1/2=12", False), ("3/8=120", False), ('"Allegro"', False), ("1/4=1", True),
    ],
)  # fmt: skip
def test_tempos(tempo, odd):
    assert (("tempo", "warning", None) in found("CDEF|G4|]", tempo)) is odd
    assert (("tempo", "warning", None) in found(f"CDEF|[Q:{tempo}]G4|]")) is odd


def test_the_examples_of_the_module_hold():
    assert doctest.testmod(marks).failed == 0
