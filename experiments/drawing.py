"""What the figures of all experiments share: one look, the same bytes for the same figures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_STYLE: dict[Any, Any] = {"svg.hashsalt": "scoregate", "svg.fonttype": "none", "font.size": 9}


@contextmanager
def canvas(*args: Any, **options: Any) -> Iterator[tuple[Any, Any]]:
    """Give a figure and its axes, as ``matplotlib.pyplot.subplots`` does, and close it again."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context(_STYLE):
        picture, axes = plt.subplots(*args, **options)
        try:
            yield picture, axes
        finally:
            plt.close(picture)


def as_svg(picture: Any) -> bytes:
    """Return a figure as SVG without the time at which it was made."""
    made = io.BytesIO()
    picture.savefig(made, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return made.getvalue()


def label(text: str, longest: int = 40) -> str:
    """Return a text of unknown origin as a label: one line, no formulas, nothing XML can't hold."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    short = plain if len(plain) <= longest else plain[: longest - 1] + "…"
    return short.replace("\\", "/").replace("$", r"\$")
