"""Names of periods, composers and instrumentations in other scripts (``style_names.toml``)."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from importlib import resources

from scoregate.errors import RequestError
from scoregate.transliteration import to_ascii

_UNIMPORTANT = re.compile(r"[\s·・•‧∙]+")
_SEPARATORS = re.compile(r"[/_]")


def in_latin(text: str) -> str:
    """Return a style with its names as NotaGen spells them.

    Names that are written in Latin letters stay as they are.

    Parameters
    ----------
    text : str
        ``浪漫主义/肖邦/键盘``, or a part of it; ``_`` and the wide ``／`` separate as well.

    Raises
    ------
    RequestError
        A name in another script that is not known.

    Examples
    --------
    >>> in_latin("浪漫主义／肖邦／键盘"), in_latin("Bach/合唱")
    ('Romantic/Chopin, Frederic/Keyboard', 'Bach/Choral')
    """
    if text.isascii():
        return text
    parts = _SEPARATORS.split(text.replace("／", "/"))
    return "/".join(_name(part) for part in parts)


def _name(part: str) -> str:
    known = _known().get(_folded(part))
    if known is not None:
        return known
    if part.strip() and not any(char.isalnum() for char in to_ascii(part)):
        raise RequestError(
            f"{part.strip()[:60]!r} is no name of a period, composer or instrumentation that is "
            "known.",
            "Write it in Latin letters as `scoregate styles` does.",
        )
    return part


@cache
def _known() -> dict[str, str]:
    text = resources.files("scoregate").joinpath("style_names.toml").read_text("utf-8")
    return {
        _folded(other): name
        for names in tomllib.loads(text).values()
        for name, others in names.items()
        for other in others
    }


def _folded(part: str) -> str:
    return _UNIMPORTANT.sub("", unicodedata.normalize("NFKC", part)).casefold()
