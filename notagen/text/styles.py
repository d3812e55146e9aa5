"""The prompts of NotaGen's weights, and the styles that NotaGen-X was trained on."""

from __future__ import annotations

from importlib import resources

from scoregate.styles import Style

PROMPT_END = "%end\n"
"""The line that ends a prompt; a forced header stands after it."""


def _read_styles() -> tuple[Style, ...]:
    text = resources.files(__package__ or "").joinpath("styles.txt").read_text(encoding="ascii")
    return tuple(Style(*line.split("/")) for line in text.splitlines() if line)


NOTAGEN_X: tuple[Style, ...] = _read_styles()
"""The 112 combinations that NotaGen-X was trained on (``styles.txt``)."""
