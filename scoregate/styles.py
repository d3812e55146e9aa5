"""Styles: period, composer and instrumentation, as prompts name them.

A style is written ``Baroque/Bach, Johann Sebastian/Choral``; ``_`` works in place of ``/``,
capitals and accents don't matter, and Chinese names are known (:mod:`scoregate.style_names`). Which
styles weights were trained on is known to their generator; others give poor music, so they are
refused unless asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from scoregate.errors import RequestError
from scoregate.style_names import in_latin
from scoregate.transliteration import to_ascii


@dataclass(frozen=True, order=True, slots=True)
class Style:
    """A period, a composer and an instrumentation.

    Parameters
    ----------
    period, composer, instrumentation : str
        As the prompts spell them.
    """

    period: str
    composer: str
    instrumentation: str

    def __str__(self) -> str:
        return f"{self.period}/{self.composer}/{self.instrumentation}"

    @property
    def prompt(self) -> str:
        """The three lines that ask the model for this style."""
        return f"%{self.period}\n%{self.composer}\n%{self.instrumentation}\n"


def parse(text: str | Style) -> Style:
    """Read a style from ``Period/Composer/Instrumentation`` or from its prompt lines.

    Raises
    ------
    RequestError
        The text doesn't have three parts.
    """
    if isinstance(text, Style):
        return text
    plain = to_ascii(text if text.lstrip().startswith("%") else in_latin(text))
    if plain.lstrip().startswith("%"):
        parts = [line.strip().removeprefix("%") for line in plain.strip().splitlines()]
        parts = [part for part in parts if part != "end"]
    else:
        parts = plain.replace("_", "/").split("/")
    parts = [" ".join(part.split()) for part in parts]
    if len(parts) != 3 or not all(parts):
        raise RequestError(
            f"{text!r} is no style: period, composer and instrumentation are needed.",
            "Write it like 'Baroque/Bach, Johann Sebastian/Choral'; "
            "`scoregate styles` lists them all.",
        )
    return Style(*parts)


def resolve(
    text: str | Style, *, trained: Collection[Style] | None, allow_untrained: bool = False
) -> Style:
    """Find the style that a text means among the ones that weights were trained on.

    Parameters
    ----------
    text : str or Style
        Three parts, or any text that only one trained style contains ("chopin/keyboard").
    trained : collection of Style, or None
        None for weights that name no styles: every style is taken as it is.
    allow_untrained : bool
        Whether to return a style outside ``trained``, spelt as far as possible as there.

    Raises
    ------
    RequestError
        Not a style, or one outside ``trained``; names the nearest ones.
    """
    if trained is None:
        return parse(text)
    if not isinstance(text, Style) and text.lstrip().startswith("%"):
        text = parse(text)
    if isinstance(text, str):
        text = in_latin(text)
    wanted = [_fold(part) for part in str(text).replace("_", "/").split("/")]
    if not any(wanted):
        raise RequestError("The style is empty.", "`scoregate styles` lists what can be asked for.")
    names = {_fold(str(style)): style for style in trained}
    exact = names.get("/".join(wanted))
    if exact is not None:
        return exact
    if len(wanted) < 3:
        found = [s for name, s in names.items() if all(part in name for part in wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            raise RequestError(f"{str(text)!r} may mean {len(found)} styles.", _listed(found))
    elif allow_untrained:
        style = parse(text)
        return Style(
            _spelling(style.period, (s.period for s in trained)),
            _spelling(style.composer, (s.composer for s in trained)),
            _spelling(style.instrumentation, (s.instrumentation for s in trained)),
        )
    raise untrained(text, trained, "--allow-untrained (the result is labelled so)")


def untrained(text: str | Style, trained: Collection[Style], switch: str) -> RequestError:
    """Return the error for a style outside ``trained``.

    Parameters
    ----------
    text : str or Style
    trained : collection of Style
        The nearest ones are named.
    switch : str
        What allows the style all the same: an option or an argument.
    """
    return RequestError(
        f"The weights were not trained on the style {str(text)!r:.200}.",
        f"{_listed(nearest(text, trained))} To try it all the same: {switch}.",
    )


def nearest(text: str | Style, among: Collection[Style], count: int = 3) -> list[Style]:
    """Return the styles most like a text, the nearest first.

    Parameters
    ----------
    text : str or Style
    among : collection of Style
    count : int
        How many to return at most.
    """
    names = {_fold(str(style)): style for style in sorted(among)}
    wanted = _fold(str(text).replace("_", "/"))
    parts = [part.strip() for part in wanted.replace(",", "/").split("/")]
    parts = [part for part in parts if len(part) > 2]

    def likeness(name: str) -> tuple[int, float]:
        # A composer's name says more than the letters of the whole.
        words = sum(part in name for part in parts)
        return words, SequenceMatcher(None, wanted, name).ratio()

    ranked = sorted(names, key=likeness, reverse=True)
    return [names[name] for name in ranked[:count]]


def _fold(text: str) -> str:
    return "/".join(" ".join(part.split()) for part in to_ascii(text).casefold().split("/"))


def _spelling(part: str, known: Iterable[str]) -> str:
    return next((name for name in known if _fold(name) == _fold(part)), part)


def _listed(styles: Iterable[Style]) -> str:
    return "Nearest: " + "; ".join(f"'{style}'" for style in styles) + "."
