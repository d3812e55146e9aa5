"""What tests of training have in common: a style, a tiny shape, made pieces and tunebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scoregate.notagen.training.project import Prepared
from scoregate.notagen.training.synthetic import chorale
from scoregate.notagen.training.train import Settings, Stage

STYLE = ("Baroque", "Bach, Johann Sebastian", "Choral")
CHORAL = "/".join(STYLE)
TEXTS = {f"piece {number}": chorale(number) for number in range(3)}


def tiny(*stages: Stage, **changes) -> Settings:
    """Return the settings of a run that takes a moment."""
    return Settings(
        **{"hidden": 64, "patch_layers": 1, "char_layers": 1, "length": 128} | changes,
        stages=list(stages),
    )


def prepared_pieces() -> Prepared:
    """Return the made pieces, as good for training as for validation and test."""
    return Prepared(STYLE, TEXTS, TEXTS, TEXTS)


def write_chorales(folder: Path, count: int, first: int = 0) -> Path:
    """Write short chorales as files of their own."""
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        (folder / f"{number}.abc").write_text("X:1\n" + chorale(number))
    return folder


def write_tunebook(folder: Path, bars: Sequence[str]) -> Path:
    """Write a tunebook in 2/4 and D, a tune for each text, and return its file."""
    folder.mkdir(parents=True)
    tunes = (
        f"X:{number}\nT:T\nM:2/4\nL:1/8\nK:D\n{text}\n\n" for number, text in enumerate(bars, 1)
    )
    path = folder / "book.abc"
    path.write_text("".join(tunes))
    return path
