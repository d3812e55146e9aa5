"""Printing on a terminal: text of unknown origin, and commands to type next."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def command_name() -> str:
    """Return how this command can be typed again: by its name, or by its path if need be."""
    if shutil.which("scoregate"):
        return "scoregate"
    path = Path(sys.argv[0])
    return os.path.relpath(path) if path.name == "scoregate" and path.exists() else "scoregate"


def as_help(text: str) -> str:
    """Mark the examples of a help text, its indented paragraphs, as lines not to be joined."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(
        f"\b\n{paragraph}" if paragraph.startswith("    ") else paragraph
        for paragraph in paragraphs
    )


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
