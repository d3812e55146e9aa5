"""Printing text of unknown origin on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with everything escaped that a terminal would act upon.

    File names and scores may hold newlines, escape sequences or bytes that are no UTF-8;
    printed as they are, they could forge a verdict or clear the screen.
    """
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
