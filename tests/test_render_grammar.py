"""The faster grammar: the same result and the same message for every text, and less work."""

from __future__ import annotations

import random
from pathlib import Path

import pyparsing as pp
import pytest

from scoregate.abc.finish import finish
from scoregate.render import musicxml
from scoregate.render.grammar import Accelerated

PIECES = sorted(Path(__file__).parent.joinpath("pieces").rglob("*.abc"))


def converted(text: str) -> bytes | str:
    try:
        return musicxml.to_musicxml(text)
    except musicxml.NotConvertible as error:
        return str(error)


def both(text: str) -> tuple[bytes | str, bytes | str]:
    """Convert with the faster grammar, and with the grammar as it stands."""
    quick = converted(text)
    grammar = musicxml._grammar()
    grammar.switch(False)
    try:
        return quick, converted(text)
    finally:
        grammar.switch(True)


def damaged(text: str, seed: int) -> str:
    """Return the text with a few characters left out, doubled or replaced."""
    chance = random.Random(seed)
    letters = list(text)
    for _ in range(4):
        at = chance.randrange(len(letters))
        letters[at] = chance.choice(["", letters[at] * 2, *"|[]{}():!\"&~<>/^_=,'z4 \n%é"])
    return "".join(letters)


@pytest.mark.slow
@pytest.mark.parametrize("path", PIECES, ids=lambda path: path.stem)
def test_a_piece_is_converted_as_before(path):
    quick, slow = both(finish(path.read_text(errors="replace")).text)
    assert quick == slow
    assert isinstance(slow, bytes)


@pytest.mark.slow
def test_published_pieces_are_converted_as_before(real_pieces):
    for path in real_pieces[::40]:
        quick, slow = both(finish(path.read_text(errors="replace")).text)
        assert quick == slow, path.name


@pytest.mark.slow
def test_damaged_pieces_are_converted_or_refused_as_before():
    texts = [finish(path.read_text(errors="replace")).text[:1500] for path in PIECES[:12]]
    refused = 0
    for number, text in enumerate(texts * 3):
        quick, slow = both(damaged(text, number))
        assert quick == slow, number
        refused += isinstance(slow, str)
    assert refused


def test_what_cannot_begin_is_not_tried():
    tried = []
    number = pp.Word(pp.nums).add_condition(lambda: tried.append("number") or True)
    name = pp.Regex(r"[a-c]x|q").add_condition(lambda: tried.append("name") or True)
    rule = pp.ZeroOrMore(number | name + pp.Optional(number, "none")) + pp.StringEnd()
    plain = rule.parse_string("bx 12 q cx3").as_list()
    grammar = Accelerated(rule)
    grammar.switch(True)
    assert (
        rule.parse_string("bx 12 q cx3").as_list() == plain == ["bx", "12", "q", "none", "cx", "3"]
    )
    with pytest.raises(pp.ParseException) as caught:
        rule.parse_string("bx ?")
    assert caught.value.loc == 3
    grammar.switch(False)
    assert "_parse" not in vars(number)


@pytest.mark.parametrize(
    ("element", "begins", "text"),
    [
        (pp.one_of("^^ __ ^ _ ="), "^_=", "__"),
        (pp.CharsNotIn('"'), "ab\x00", "ab"),
        (pp.Optional("x", default="-") + pp.Literal("y"), "xy", "y"),
        (pp.Combine(pp.OneOrMore("<") | pp.OneOrMore(">")), "<>", ">>"),
        (~pp.Literal("a") + pp.Word(pp.alphas), "bc", "bc"),
        (pp.Regex(r"(?i)maj|m"), None, "Maj"),
    ],
    ids=str,
)
def test_an_element_begins_with_these_characters(element, begins, text):
    from scoregate.render.grammar import _beginning

    found = _beginning(element.streamline(), {}, set())
    if begins is not None:
        assert found is not None
        assert set(begins) <= found[0]
        assert not found[1]
    plain = element.parse_string(text).as_list()
    Accelerated(element).switch(True)
    assert element.parse_string(text).as_list() == plain
