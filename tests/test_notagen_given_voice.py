"""A given first voice: forced in every line, exactly, while the model writes the others."""

from __future__ import annotations

import pytest
from notagen_models import HEADER, PROMPT, say_patches

from scoregate.errors import RequestError
from scoregate.generator import Limits
from scoregate.notagen.draft import Draft, Rules
from scoregate.notagen.requests import PieceRequest
from scoregate.notagen.text.forced import read_forced_text
from scoregate.notagen.text.given_voice import LONGEST, given_voice
from scoregate.notagen.text.patches import PATCH_SIZE, encode, encode_open, encode_unit
from scoregate.styles import Style
from scoregate.validators.counterpoint_judge import line_judge

CHORALE = Style("Baroque", "Bach, Johann Sebastian", "Choral")
BARS = ("[V:1]C2 D2 E2 F2|\n", "[V:1]G4- G2 A2|\n", "[V:1]z8|\n", "[V:1]c8|]\n")
HEAD = (
    '%%score [ 1 2 3 4 ]\nL:1/8\nQ:1/4=80\nM:3/4\nK:Eb\nV:1 treble nm="Soprano"\n'
    'V:2 treble nm="Alto"\nV:3 bass nm="Tenor"\nV:4 bass nm="Bass"\n'
)


def given(rules: Rules | None = None, bars: tuple[str, ...] = BARS) -> Draft:
    forced = read_forced_text(HEADER + "".join(bars), prompted=True, forced_as="voice")
    return Draft(PROMPT, 1, rules or Rules(1024), forced)


def answer(draft: Draft, text: str) -> None:
    """Have a draft take the rest of a line, as if a model had drawn it behind the start."""
    begun = "".join(map(chr, draft.start))
    say_patches(draft, encode_unit(begun + text))


def test_each_line_begins_with_the_given_voice_and_the_piece_ends_with_it():
    draft = given()
    assert draft.body == "[r:0/3][V:1]C2 D2 E2 F2|[V:"
    assert "".join(map(chr, draft.start)) == "|[V:"
    for line, left in zip(BARS, ("|", "|", "|", "|]"), strict=True):
        assert draft.ended is None
        assert draft.body.endswith(f"]{line.removeprefix('[V:1]').strip()}[V:")
        answer(draft, f"2]C,8{left}\n")
    assert draft.ended == "finished"
    assert draft.raw.count("[V:1]") == draft.bars == 4
    assert draft.raw.endswith("[r:3/0][V:1]c8|][V:2]C,8|]\n")


def test_the_patches_are_those_of_the_text():
    draft = given()
    for _ in range(2):
        answer(draft, "2]C,8|\n")
    whole, start = encode_open(draft.head, draft.body)
    assert draft.patches == whole
    assert draft.start == start
    answer(draft, "2]C,8|\n")
    answer(draft, "2]C,8|]\n")
    assert draft.patches == encode(draft.raw)


def test_a_refused_line_is_resampled_behind_the_same_voice():
    refused = iter([True, False, False, False, False])
    rules = Rules(1024, Limits(), lambda text, line: not next(refused))
    draft = given(rules)
    before = draft.body, list(draft.patches), draft.start
    answer(draft, "2]C,4|\n")
    assert (draft.body, draft.patches, draft.start) == before
    assert (draft.resampled_lines, draft.bars) == (1, 0)
    answer(draft, "2]C,8|\n")
    assert draft.bars == 1
    assert draft.body.startswith("[r:0/3][V:1]C2 D2 E2 F2|[V:2]C,8|\n[r:1/2][V:1]G4- G2 A2|[V:")


def test_a_line_that_writes_the_given_voice_again_is_resampled_without_a_judge():
    draft = given()
    answer(draft, "2]C,8|[V:1]G8|\n")
    assert (draft.resampled_lines, draft.bars) == (1, 0)
    answer(draft, "1]G8|\n")
    assert (draft.resampled_lines, draft.bars) == (2, 0)
    answer(draft, "2]C,8|\n")
    assert draft.bars == 1


def test_a_full_context_is_cut_behind_the_given_voice():
    bars = tuple(f"[V:1]C2 D2 E2 {note}2|\n" for note in "ABcdefgABcdefgAB")
    draft = given(Rules(40), bars)
    for _ in bars:
        assert len(draft.patches) < 40
        assert draft.body.endswith("|[V:")
        assert len(draft.start) < PATCH_SIZE
        answer(draft, "2]C,4 G,,4|\n")
    assert draft.cuts > 0
    assert draft.ended == "finished"
    lines = draft.body.splitlines()
    assert [line.split("]", 1)[1].split("|")[0] for line in lines] == [x[:-2] for x in bars]


@pytest.mark.parametrize(
    ("bars", "said"),
    [
        ((), "no bars"),
        (("[V:1]C8|[V:2]C8|",), "one bar of one voice"),
        (("[V:1]C4|C4|",), "one bar of one voice"),
        (("[V:1]C8|", "[V:2]C8|"), "2 voices"),
        (("[V:1]C8",), "one bar of one voice"),
        (("[V:1]C8|",) * (LONGEST + 1), "at most"),
    ],
    ids=["none", "two-voices", "two-bars", "another-voice", "no-barline", "too-many"],
)
def test_what_is_no_voice_is_refused(bars, said):
    with pytest.raises(RequestError, match=said):
        given_voice(HEADER, bars)


def test_a_header_without_other_voices_is_refused():
    with pytest.raises(RequestError, match="no other voice"):
        PieceRequest(PROMPT, 1, "M:4/4\nK:C\nV:1 treble\n[V:1]C8|\n", "voice")
    with pytest.raises(RequestError, match="'opening' or 'voice'"):
        PieceRequest(PROMPT, 1, HEADER, "soprano")  # type: ignore[arg-type]


def test_the_same_text_as_an_opening_is_continued():
    request = PieceRequest(PROMPT, 1, HEADER + BARS[0], "opening")
    assert request.forced.voice is None
    assert request.forced.bars == (BARS[0],)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_embedded_model_harmonises_a_soprano_in_another_key_and_metre():
    from scoregate import notagen

    music = ("e2 d2 c2", "d2 B2 e2", "z6", "c2 BA B2", "G2 AG F2", "!fermata!E6")
    bars = [f"[V:1]{bar}|" for bar in music]
    bars[-1] += "]"
    engine = notagen.load(threads=1)
    piece, again = engine.generate(
        [CHORALE] * 2,
        seeds=[5, 5],
        prefix=HEAD + "\n".join(bars) + "\n",
        prefix_as="voice",
        accept_line=line_judge(str(CHORALE)),
    )
    lines = [line for line in piece.raw.splitlines() if line.startswith("[r:")]
    assert [line.split("[V:2]")[0].split("]", 1)[1] for line in lines] == bars
    assert all(line.count("[V:") == 4 for line in lines)
    assert piece.ended == "finished"
    assert piece.raw == again.raw
