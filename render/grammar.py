"""Faster parsing with a pyparsing grammar: an element is not tried where it can't begin.

Most of the time of a grammar with many alternatives goes into trying those that fail at their
first character. For each element of a grammar the characters with which it can begin are
collected once. Where the next character is none of these, the element fails at once, with the
same kind of exception at the same place as otherwise, but with a message of its own. Elements
that may match nothing, and those whose beginning isn't known, are left alone. What the grammar
accepts and the parse results are the same.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pyparsing as pp

_ASCII = frozenset(map(chr, range(128)))
_WHITE = frozenset(string.whitespace)

Beginning = tuple[frozenset[str], bool]
"""The ASCII characters with which something begins, and whether it may match nothing."""


class Accelerated:
    """A grammar whose elements look at the next character first.

    Parameters
    ----------
    grammars : pyparsing.ParserElement
        They must not change from now on.
    """

    def __init__(self, *grammars: pp.ParserElement) -> None:
        self._quick: list[tuple[Any, str, Callable[..., Any]]] = []
        known: dict[int, Beginning | None] = {}
        for grammar in grammars:
            grammar.streamline()
        for element in _elements(grammars):
            if element.failAction or element.debug:
                continue
            if type(element) is pp.MatchFirst:
                parts = [(each, _beginning(each, known, set())) for each in element.exprs]
                self._quick.append((element, "parseImpl", _quick_choice(element, parts)))
            beginning = _beginning(element, known, set())
            if beginning is None:
                continue
            may_begin = beginning[0] | _WHITE
            if not beginning[1]:
                self._quick.append((element, "_parse", _quick_parse(element, may_begin)))
            elif type(element) in (pp.Opt, pp.ZeroOrMore) and not element.parseAction:
                self._quick.append((element, "_parse", _quick_option(element, may_begin)))

    def switch(self, on: bool) -> None:
        """Let the elements look at the next character first, or parse as pyparsing does."""
        for element, name, quick in self._quick:
            if on:
                setattr(element, name, quick)
            else:
                element.__dict__.pop(name, None)


# Below, `callPreParse` and `do_actions` are pyparsing's names of the parameters.


def _quick_parse(element: Any, may_begin: frozenset[str]) -> Callable[..., Any]:
    parse, message = element._parse, element.errmsg

    def quick(text: str, at: int, do_actions: bool = True, callPreParse: bool = True) -> Any:
        if at < len(text) and (following := text[at]) not in may_begin and following < "\x80":
            raise pp.ParseException(text, at, message, element)
        return parse(text, at, do_actions, callPreParse)

    return quick


def _quick_option(element: Any, may_begin: frozenset[str]) -> Callable[..., Any]:
    """Return what parses an element that matches nothing where it can't begin."""
    parse, name = element._parse, element.resultsName
    as_list, modal = element.saveAsList, element.modalResults
    nothing: Any = []
    if type(element) is pp.Opt:
        # What it gives for nothing, as pyparsing makes it: the default value, if there is one.
        other = _ASCII - may_begin
        nothing = element.parseImpl(min(other), 0)[1] if other else None
        if not isinstance(nothing, list):
            return parse

    def quick(text: str, at: int, do_actions: bool = True, callPreParse: bool = True) -> Any:
        if at < len(text) and (following := text[at]) not in may_begin and following < "\x80":
            return at, pp.ParseResults(nothing, name, asList=as_list, modal=modal)
        return parse(text, at, do_actions, callPreParse)

    return quick


def _quick_choice(
    element: Any, parts: list[tuple[Any, Beginning | None]]
) -> Callable[[str, int, bool], Any]:
    """Return the choice among those alternatives that can begin with the next character."""
    parse_impl, message = element.parseImpl, element.errmsg
    possible = {
        character: [
            each for each, how in parts if how is None or how[1] or character in how[0]
        ]
        for character in _ASCII - _WHITE
    }  # fmt: skip

    def choose(text: str, at: int, do_actions: bool = True) -> Any:
        alternatives = possible.get(text[at]) if at < len(text) else None
        if alternatives is None:
            return parse_impl(text, at, do_actions)
        furthest: pp.ParseException | None = None
        for each in alternatives:
            try:
                return each._parse(text, at, do_actions)
            except pp.ParseException as error:
                if furthest is None or error.loc > furthest.loc:
                    furthest = error
        if furthest is None or furthest.loc <= at:
            furthest = pp.ParseException(text, at, message, element)
        raise furthest

    return choose


def _elements(grammars: tuple[pp.ParserElement, ...]) -> Iterator[Any]:
    seen: set[int] = set()
    left: list[Any] = list(grammars)
    while left:
        element = left.pop()
        if id(element) in seen:
            continue
        seen.add(id(element))
        yield element
        left += _parts(element)


def _parts(element: Any) -> list[Any]:
    if isinstance(element, pp.ParseExpression):
        return list(element.exprs)
    if isinstance(element, pp.ParseElementEnhance) and element.expr is not None:
        return [element.expr]
    return []


def _beginning(
    element: Any, known: dict[int, Beginning | None], under_way: set[int]
) -> Beginning | None:
    """Return how an element begins; None where that isn't known."""
    if id(element) in known:
        return known[id(element)]
    if id(element) in under_way or element.ignoreExprs:
        return None
    found = _of_kind(element, lambda part: _beginning(part, known, under_way | {id(element)}))
    if not under_way:  # Within a recursion the answer may be None for that reason alone.
        known[id(element)] = found
    return found


def _of_kind(element: Any, of: Callable[[Any], Beginning | None]) -> Beginning | None:
    # More than six returns: one for each kind of element.
    if isinstance(element, pp.And):
        return _sequence([of(part) for part in element.exprs])
    if isinstance(element, pp.MatchFirst | pp.Or):
        return _any_of([of(part) for part in element.exprs])
    if isinstance(element, pp.Opt | pp.ZeroOrMore):
        inner = of(element.expr)
        return None if inner is None else (inner[0], True)
    if isinstance(element, pp.OneOrMore | pp.Forward | pp.TokenConverter | pp.FollowedBy):
        return None if element.expr is None else of(element.expr)
    if isinstance(element, pp.NotAny):
        return frozenset(), True
    if type(element) is pp.CharsNotIn:
        return _ASCII - set(element.notChars), False
    if isinstance(element, pp.Word):
        return frozenset(element.initChars) & _ASCII, False
    if isinstance(element, pp.Regex):
        pattern = _parser.parse(element.pattern, element.flags)
        return None if pattern.state.flags & re.IGNORECASE else _of_pattern(pattern)
    if type(element) is pp.Literal or type(element).__name__ == "_SingleCharLiteral":
        return (frozenset(element.match[:1]), False) if element.match else None
    return None


def _sequence(parts: list[Beginning | None]) -> Beginning | None:
    characters: frozenset[str] = frozenset()
    for part in parts:
        if part is None:
            return None
        characters |= part[0]
        if not part[1]:
            return characters, False
    return characters, True


def _any_of(parts: list[Beginning | None]) -> Beginning | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return frozenset().union(*(part[0] for part in known)), any(part[1] for part in known)


def _of_pattern(pattern: Any) -> Beginning | None:
    """Return how a regular expression begins; None where it has more than plain parts."""
    return _sequence([_of_code(str(code), value) for code, value in pattern])


def _of_code(code: str, value: Any) -> Beginning | None:
    if code == "LITERAL":
        return frozenset({chr(value)}) & _ASCII, False
    if code == "IN" and all(str(kind) in ("LITERAL", "RANGE") for kind, _ in value):
        found: set[str] = set()
        for kind, each in value:
            low, high = (each, each) if str(kind) == "LITERAL" else each
            found.update(map(chr, range(low, min(high, 127) + 1)))
        return frozenset(found) & _ASCII, False
    if code == "BRANCH":
        return _any_of([_of_pattern(each) for each in value[1]])
    if code == "SUBPATTERN" and not value[1] and not value[2]:
        return _of_pattern(value[3])
    if code in ("MAX_REPEAT", "MIN_REPEAT"):
        inner = _of_pattern(value[2])
        return None if inner is None else (inner[0], inner[1] or value[0] == 0)
    return None
