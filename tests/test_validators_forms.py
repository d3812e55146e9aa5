"""The forms a text can have: stream, finished, voice after voice, one voice, several tunes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from scoregate.abc.reader import read
from scoregate.abc.source_text import split_tunes

PIECES = Path(__file__).parent / "pieces"

STREAM = """%Baroque
%Bach, Johann Sebastian
%Choral
%end
%%score [ ( 1 2 ) 3 ]
L:1/8
Q:1/4=72
M:3/4
K:G
V:1 treble nm="Violino" snm="Vl."
V:2 treble
V:3 bass nm="Cello"
[r:0/3][V:1]B2|[V:3]G,2|
[r:1/2][V:1]A6|[V:2]D6|[V:3]F,6|
[r:2/1][V:2]E6|
[r:3/0][V:1]G4|][V:2]D4|][V:3]G,4|]
"""


def durations(text: str) -> dict[str, list[Fraction]]:
    """Return the lengths of the bars of every voice."""
    return {voice.id: [bar.duration for bar in voice.bars] for voice in read(text).voices}


def test_a_stream_is_read_whole() -> None:
    score = read(STREAM)
    assert score.findings == []
    assert score.stream
    assert score.interleaved
    assert score.prompt == ("Baroque", "Bach, Johann Sebastian", "Choral")
    assert (score.key, score.metre_text, score.tempo_text, score.tempo) == (
        "G",
        "3/4",
        "1/4=72",
        72,
    )
    assert score.unit == Fraction(1, 8)
    assert score.bar_count == 4


def test_a_voice_that_is_left_out_of_a_stream_rests() -> None:
    first, second, third = read(STREAM).voices
    for voice in (first, second, third):
        assert [bar.duration for bar in voice.bars] == [
            Fraction(1, 4),
            Fraction(3, 4),
            Fraction(3, 4),
            Fraction(1, 2),
        ]
    assert [bar.implied for bar in second.bars] == [True, False, False, False]
    assert [bar.implied for bar in first.bars] == [False, False, True, False]
    rest = first.bars[2]
    assert (rest.line, rest.right, rest.events[0].pitches) == (15, "|", ())


def test_staves_braces_and_instruments() -> None:
    text = (PIECES / "song.abc").read_text()
    song = read(text)
    assert [(v.id, v.staff, v.brace, v.instrument) for v in song.voices] == [
        ("1", 0, None, "Singstimme\\nVoice"),
        ("2", 1, 0, "Pianoforte"),
        ("4", 1, 0, "Pianoforte"),
        ("3", 2, 0, "Pianoforte"),
        ("5", 2, 0, "Pianoforte"),
    ]
    first, second, third = read(STREAM).voices
    assert [voice.instrument for voice in (first, second, third)] == ["Violino", "Violino", "Cello"]
    assert (first.short_name, first.clef, third.clef) == ("Vl.", "treble", "bass")


@pytest.mark.parametrize("name", ["chorale", "song", "winds", "reel", "duet"])
def test_good_pieces_have_no_findings(name: str) -> None:
    assert read((PIECES / f"{name}.abc").read_text()).findings == []


def test_voice_after_voice() -> None:
    score = read((PIECES / "duet.abc").read_text())
    assert not score.interleaved
    assert [voice.id for voice in score.voices] == ["A", "B"]
    assert [len(voice.bars) for voice in score.voices] == [8, 8]
    assert {bar.duration for voice in score.voices for bar in voice.bars} == {Fraction(3, 4)}
    violin, cello = score.voices
    assert violin.bars[1].events[2].pitches == (73,)
    assert cello.bars[0].events[0].pitches == (50,)
    assert [bar.key for bar in cello.bars] == ["Dm"] * 4 + ["D"] * 4
    assert cello.bars[6].line == cello.bars[5].line == 16
    assert cello.bars[7].line == 17


def test_one_voice_with_repeats_and_endings() -> None:
    score = read((PIECES / "reel.abc").read_text())
    (voice,) = score.voices
    assert voice.id == "1"
    assert [bar.number for bar in voice.bars] == list(range(1, 18))
    assert [(bar.left, bar.right, bar.ending) for bar in voice.bars[:1] + voice.bars[7:9]] == [
        ("|:", "|", ""),
        ("|", ":|", "1"),
        (":|", "||", "2"),
    ]


def test_several_bars_of_each_voice_on_a_line() -> None:
    text = (
        "X:1\nL:1/4\nM:2/4\nK:C\nV:1\nV:2\n"
        "[V:1] C2|D2|E2| [V:2] C,2|D,2|E,2|\n[V:1] F2|G2|] [V:2] F,2|G,2|]\n"
    )
    score = read(text)
    assert not score.interleaved
    assert score.findings == []
    assert [len(voice.bars) for voice in score.voices] == [5, 5]


def test_bars_may_run_over_line_ends() -> None:
    text = "X:1\nL:1/4\nM:4/4\nK:C\nCDE\\\nF|GAB\nc|]\n"
    assert durations(text) == {"1": [Fraction(1), Fraction(1)]}


def test_a_line_end_stands_for_the_barline_of_a_full_bar() -> None:
    score = read("X:1\nL:1/4\nM:3/4\nK:C\nC | CDE | FGA\nGFE\nC2\nD | E2 |]\n")
    assert [bar.duration * 4 for bar in score.voices[0].bars] == [1, 3, 3, 3, 3, 2]
    assert [(f.code, f.severity, f.bar, f.line) for f in score.findings] == [
        ("syntax.barline-at-line-end", "warning", 3, 5),
        ("syntax.barline-at-line-end", "warning", 4, 6),
    ]


def test_line_ends_of_every_system() -> None:
    text = (PIECES / "chorale.abc").read_text()
    for end in ("\r\n", "\r"):
        assert durations(text.replace("\n", end)) == durations(text)
    assert durations("\ufeff" + text) == durations(text)
    assert read("\ufeff".encode() + text.encode()).findings == []


def test_comments_blocks_lyrics_and_text_lines_are_no_music() -> None:
    text = (
        "X:1\nL:1/4\nM:4/4\nK:C\n% A B c|\n%%begintext\nABc|\n%%endtext\n"
        "C4|% D E\nw: la la\nW: words | of a song\nN:note\n+:more\nC4|]\n"
    )
    assert durations(text) == {"1": [Fraction(1), Fraction(1)]}


def test_annotations_hold_anything() -> None:
    text = 'X:1\nL:1/4\nM:4/4\nK:C\n"^a|b[c!d(3{" C2 "_]|[V:" C2|!8va(!C4!8va)!|+trill+C4|]\n'
    assert read(text).findings == []
    assert durations(text) == {"1": [Fraction(1)] * 3}


def test_letters_of_ones_own() -> None:
    text = "X:1\nL:1/4\nM:4/4\nU:n=!tenuto!\nK:C\nnC4|[U:q=!turn!]qC4|]\n"
    assert read(text).findings == []


def test_tempo() -> None:
    def tempo(text: str) -> float | None:
        return read(f"X:1\nQ:{text}\nK:C\nC|]\n").tempo

    assert tempo("1/4=60") == 60
    assert tempo("3/8=60") == 90
    assert tempo('"Allegro" 1/2=60 "al fine"') == 120
    assert tempo("1/4 1/8=40") == 60
    assert tempo("120") == 120
    assert tempo('"Allegro"') is None


def test_tunes_can_be_taken_apart() -> None:
    one = "X:1\nK:C\nC|]\n\n"
    two = "X:2\nK:D\nD|]\n"
    assert split_tunes("% songs\n" + one + two) == ["% songs\n" + one, two]
    assert split_tunes(two) == [two]
    assert split_tunes("") == [""]
