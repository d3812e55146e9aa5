"""From events to measured notation, held to the reader and to the gates."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoregate.abc.reader import read
from scoregate.lstm.events import Event, Piece, UnusableError, bar_length, read_stream
from scoregate.lstm.notation import bars_of, find_key, to_abc
from scoregate.validators import examine


def piece(words: str, metre: str = "4/4", pickup: Fraction | int = 0) -> Piece:
    events = tuple(Event.parse(word) for word in words.split())
    return Piece("test", events, metre, Fraction(pickup))


def music(found: Piece) -> list[str]:
    return [line for line in to_abc(found, "Fiddle").splitlines() if line.startswith("[V:1]")]


@pytest.mark.parametrize("word", ["60:1", "60.64.67:1/2", "r:3/4", "72:1/3"])
def test_a_word_is_read_back(word):
    assert str(Event.parse(word)) == word


def test_bars_are_counted_off_by_the_metre():
    assert music(piece("60:1 62:1 64:1 65:1 67:4")) == ["[V:1]C2 D2 E2 F2|", "[V:1]G8|]"]


def test_a_pickup_makes_a_short_first_bar():
    assert music(piece("67:1 72:2 71:1", "3/4", 1)) == ["[V:1]G2|", "[V:1]c4 B2|]"]


def test_a_note_over_a_barline_is_tied():
    assert music(piece("60:3 64:2 62:3")) == ["[V:1]C6 E2-|", "[V:1]E2 D6|]"]


def test_a_rest_over_a_barline_is_not_tied():
    assert music(piece("60:3 r:2 62:3")) == ["[V:1]C6 z2|", "[V:1]z2 D6|]"]


def test_a_duration_that_no_single_note_has_is_tied():
    assert music(piece("60:5/2 62:3/2")) == ["[V:1]C4- CD- D2|]"]


def test_triplets_are_written_as_such():
    bars = music(piece("60:1/3 62:1/3 64:1/3 60:2/3 62:1/3 67:2"))
    assert bars == ["[V:1](3:2:3CDE (3:2:2C2D G4|]"]


def test_eighths_are_beamed_by_beats():
    assert music(piece(" ".join(["67:1/2"] * 8))) == ["[V:1]GG GG GG GG|]"]
    assert music(piece(" ".join(["67:1/2"] * 6), "6/8")) == ["[V:1]GGG GGG|]"]
    assert music(piece(" ".join(["67:1/2"] * 8), "2/2")) == ["[V:1]GGGG GGGG|]"]


@pytest.mark.parametrize(
    ("words", "metre", "expected"),
    [
        ("67:1/2 69:1/2 71:1 69:1/2 67:1/2", "6/8", "GAB- BAG"),  # over the middle of 6/8
        ("67:2 69:1", "6/8", "G3- GA2"),
        ("67:1/2 69:1 71:1/2", "2/4", "GA2B"),  # a plain syncopation stays
        ("67:1 69:1/2 71:1 69:1/2 67:1", "4/4", "G2 AB- BA G2"),  # not over the middle of 4/4
        ("67:1/2 69:3/2 71:1", "3/4", "GA- A2 B2"),
        ("67:3/2 69:1/2 71:2", "4/4", "G3A B4"),
    ],
)
def test_beats_can_be_seen(words, metre, expected):
    assert music(piece(words, metre))[0] == f"[V:1]{expected}|]"


def test_the_last_bar_is_filled_by_a_rest():
    assert music(piece("60:4 62:1"))[-1] == "[V:1]D2 z6|]"
    assert music(piece("67:1 60:4 62:1", "4/4", 1))[-1] == "[V:1]D2 z4|]"
    assert music(piece("67:1 60:4 62:3", "4/4", 1))[-1] == "[V:1]D6|]"


def test_the_last_note_decides_between_keys_of_one_signature():
    notes = "64:1 67:1 71:1 64:1 67:1 71:1 64:2 71:1 "
    assert find_key(piece(notes + "64:4").events) == ("Em", 1)
    assert find_key(piece(notes + "67:4").events) == ("G", 1)


def test_beats_of_a_pickup_are_counted_to_the_barline():
    bars = music(piece(" ".join(["67:1/2"] * 7), "4/4", Fraction(3, 2)))
    assert bars == ["[V:1]G GG|", "[V:1]GG GG z|]"]


def test_a_plain_value_within_a_tuplet_is_written_with_ties():
    bars = music(piece("60:1/3 62:5/4 60:2/3 62:7/4"))
    assert bars == ["[V:1](3:2:4CD3-D3/4C2D3/2- D2|]"]


def test_chords_and_accidentals():
    bars = music(piece("60.64.67:2 61:1 61:1 60:4"))
    assert bars[0].startswith("[V:1][CEG]4 ^C2 C2|")
    assert bars[1] == "[V:1]C8|]"


def test_the_key_is_found_and_notes_are_spelt_in_it():
    scale = "67:2 71:1 74:1 79:1 78:1 76:1 74:1 72:1 69:1 67:2"
    key, sharps = find_key(piece(scale).events)
    assert (key, sharps) == ("G", 1)
    assert music(piece(scale))[1] == "[V:1]g2 f2 e2 d2|"


def test_flats_are_spelt_as_flats():
    scale = "65:2 69:1 72:1 77:1 76:1 72:1 70:1 69:1 67:1 65:2"
    assert find_key(piece(scale).events) == ("F", -1)
    assert music(piece(scale))[0] == "[V:1]F4 A2 c2|"
    assert music(piece(scale))[1] == "[V:1]f2 e2 c2 B2|"


EVENTS = st.tuples(
    st.lists(st.integers(55, 84), max_size=3, unique=True).map(lambda p: tuple(sorted(p))),
    st.sampled_from([Fraction(n, d) for n, d in ((1, 4), (1, 2), (3, 4), (1, 1), (5, 4), (3, 1))]),
).map(lambda pair: Event(*pair))


@pytest.mark.slow
@given(st.lists(EVENTS, min_size=1, max_size=24), st.sampled_from(["4/4", "3/4", "6/8", "2/2"]))
@settings(max_examples=25, deadline=None)
def test_what_is_written_sounds_as_the_events(events, metre):
    """Pitches and onsets that the reader finds are those of the events; all bars are full."""
    given_piece = Piece("test", tuple(events), metre, Fraction(0))
    score = read("X:1\n" + to_abc(given_piece, "Keyboard"))
    (voice,) = score.voices
    assert len(voice.bars) == len(bars_of(given_piece))
    full = bar_length(metre) / 4
    assert all(bar.duration == full for bar in voice.bars[:-1])
    found = [(start, pitch) for start, pitches in _onsets(score) for pitch in pitches]
    expected, now = [], Fraction(0)
    for event in events:
        expected += [(now / 4, pitch) for pitch in event.pitches]
        now += event.duration
    assert sorted(found) == sorted(expected)


def _onsets(score):
    from scoregate.validators.analysis.sounding import notes

    found = notes(score)
    times = found.bar_start[found.bar] + found.onset
    return [
        (Fraction(float(time)).limit_denominator(1024), [int(pitch)])
        for time, pitch, starts in zip(times, found.pitch, found.starts, strict=True)
        if starts
    ]


def test_the_gate_passes_a_measured_tune():
    words = ("67:1/2 69:1/2 71:1/2 " * 4).split()
    tune = piece(" ".join([*words, *["74:1/2", "71:1/2", "67:1/2", "67:3/2"]]), "6/8")
    found = examine("X:1\n" + to_abc(tune, "Fiddle"))
    assert [str(f) for f in found.findings if f.gate in ("syntax", "bars", "ranges")] == []


def test_streams_of_music21_become_events():
    from music21 import converter

    parsed = converter.parse("tinyNotation: 3/4 c8 d e4~ e8 r8 trip{f8 g a} b2")
    found = read_stream(parsed, "x")
    assert found.metre == "3/4"
    assert [str(event) for event in found.events][:5] == [
        "60:1/2", "62:1/2", "64:3/2", "r:1/2", "65:1/3",
    ]  # fmt: skip


def test_several_parts_become_chords():
    from music21 import note, stream

    score = stream.Score()
    for name in ("C4", "E4"):
        part = stream.Part()
        part.append(note.Note(name, quarterLength=4))
        score.insert(0, part)
    assert [str(event) for event in read_stream(score, "x").events] == ["60.64:4"]


def test_a_score_without_notes_is_unusable():
    from music21 import note, stream

    rests = stream.Part()
    rests.append(note.Rest(quarterLength=4))
    with pytest.raises(UnusableError, match="no notes"):
        read_stream(rests, "x")
