"""Repeats written out and made, and the pieces that training draws with them."""

import numpy as np
import pytest

from scoregate.convert.abc_text import read_abc
from scoregate.convert.piece import bars_of
from scoregate.notagen.training.forms import form_of
from scoregate.notagen.training.material import Material, Variant
from scoregate.notagen.training.repeats import with_repeat, written_out
from scoregate.notagen.training.synthetic import chorale

STYLE = ("Baroque", "Bach, Johann Sebastian", "Choral")
HEAD = "L:1/8\nM:4/4\nK:C\nV:1\nV:2\n"
PIECE = HEAD + (
    "[V:1]G2|[V:2]E2|\n"
    "[V:1]c2 d2 !fermata!e2 d2|[V:2]E2 G2 !fermata!G2 G2|\n"
    "[V:1]e2 d2 !fermata!c2:|[V:2]G2 F2 !fermata!E2:|\n"
    "[V:1]e2|[V:2]G2|\n"
    "[V:1]d2 c2 B2 c2|[V:2]F2 E2 D2 C2|\n"
    "[V:1]!fermata!c6|][V:2]!fermata!E6|]\n"
)


def test_a_repeated_strain_is_written_twice():
    whole = written_out(PIECE)
    assert whole is not None
    lines = whole.removeprefix(HEAD).splitlines()
    strain = PIECE.removeprefix(HEAD).replace(":|", "|").splitlines()
    assert lines == strain[:3] + strain
    form = form_of(whole)
    assert form is not None
    assert "".join(phrase.melody for phrase in form.phrases) == "ABABC"


@pytest.mark.parametrize(
    "text",
    [
        PIECE.replace(":|", "|"),
        PIECE.replace("[V:1]e2|[V:2]G2|", "[V:1]e2|:[V:2]G2|:"),
        PIECE.replace("|]", ":|"),
        HEAD + "[V:1]c8:|[V:2]c8:|\n",
        HEAD,
    ],
)
def test_other_pieces_have_no_single_strain_to_write_out(text):
    assert written_out(text) is None


@pytest.mark.slow
def test_the_first_phrases_become_a_strain():
    """Also where the bar goes on with the upbeat of the next phrase."""
    made = 0
    for number in range(12):
        text = chorale(number)
        before = form_of(text)
        assert before is not None
        repeated = with_repeat(text)
        if repeated is None:
            continue
        made += 1
        assert repeated.count(":|") == 4
        assert form_of(repeated) == before
        notes = [[event.pitches for bar in voice for event in bar.events] for voice in
                 bars_of(read_abc(text, ""))]  # fmt: skip
        assert notes == [
            [event.pitches for bar in voice for event in bar.events]
            for voice in bars_of(read_abc(repeated, ""))
        ]
        whole = written_out(repeated)
        assert whole is not None
        after = form_of(whole)
        assert after is not None
        assert "".join(phrase.melody for phrase in after.phrases).startswith("ABAB")
        assert len(after.phrases) == len(before.phrases) + 2
    assert made > 6


def test_a_piece_that_can_have_no_repeat_gets_none():
    assert with_repeat(PIECE) is None  # it has one
    one_ends_earlier = PIECE.replace(":|", "|").replace("!fermata!G2 G2", "!fermata!G4")
    assert with_repeat(one_ends_earlier, phrases=1) is None
    assert with_repeat(PIECE.replace(":|", "|"), phrases=3) is None  # the last phrase
    # The sharp of the first d holds for the upbeat behind the fermata.
    once = PIECE.replace(":|", "|")
    assert with_repeat(once, phrases=1) is not None
    assert with_repeat(once.replace("c2 d2", "c2 ^d2"), phrases=1) is None
    assert with_repeat(HEAD) is None


def test_training_draws_forms_and_repeats_by_their_shares():
    texts = {"a": PIECE}
    plain = Material(texts, STYLE).piece("a")
    always = Material(texts, STYLE, forms=1.0, repeats=1.0).draw(np.random.default_rng(1))
    assert len(always.patches) > len(plain.patches) + 6
    text = bytes(always.patches[always.patches > 2].tolist()).decode()
    assert "%form/1 5 2\n" in text
    assert text.count("!fermata!") == 10
    never = Material(texts, STYLE).draw(np.random.default_rng(1))
    assert b"%form" not in bytes(never.patches[never.patches > 2].tolist())
    # What would be longer than the context with its repeat is drawn without it.
    short = Material(texts, STYLE, len(plain.patches), repeats=1.0)
    assert len(short.draw(np.random.default_rng(1)).patches) == len(plain.patches)
    half = Material(texts, STYLE, forms=0.5, repeats=0.5)
    drawn = {len(half.draw(np.random.default_rng(seed)).patches) for seed in range(40)}
    assert drawn == {
        len(half.piece("a", 0, 0, Variant(form, repeated)).patches)
        for form in (True, False)
        for repeated in (True, False)
    }
