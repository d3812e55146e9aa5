"""Text for the pages: names of measures, numbers, durations, times."""

from __future__ import annotations

import math
from typing import Any

from scoregate.findings import Status
from scoregate.validators.registry import measures

_GATES = (
    "measures", "harmony", "repetition", "novelty", "bars", "ranges", "parts", "marks", "syntax",
)  # fmt: skip
"""The gates whose measures the pages show first; those of other gates follow."""


def _place(name: str) -> int:
    gate = name.partition(".")[0]
    return _GATES.index(gate) if gate in _GATES else len(_GATES)


MEASURES = {name: measures()[name] for name in sorted(measures(), key=_place)}
"""Every measure that a registered gate declares, in the order of the pages."""

STATUS_SIGNS = {Status.PASSED: "✓", Status.REJECTED: "✕", Status.NOT_JUDGED: "?"}


def measure_title(name: str) -> str:
    """Return a measure's name for people."""
    if name in MEASURES:
        return MEASURES[name].title
    return name.rpartition(".")[2].replace("_", " ").capitalize()


def measure_note(name: str) -> str:
    """Return what a measure means, or ``""``."""
    return MEASURES[name].note if name in MEASURES else ""


def number(value: Any) -> str:
    """Return a number in at most four figures; a dash for what is undefined."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    return f"{int(value):,}".replace(",", "\u202f") if abs(value) < 1e15 else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """Return 75.2 as ``1 min 15 s``, 3.21 as ``3.2 s``."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u00a0min\u00a0{rest}\u00a0s"
    return f"{minutes // 60}\u00a0h\u00a0{minutes % 60}\u00a0min"


def style_name(style: str | None) -> str:
    """Return ``Baroque/Bach, Johann Sebastian/Choral`` with spaces round the strokes."""
    return " / ".join(part.strip() for part in style.split("/")) if style else "style unknown"


def moment(iso: str | None) -> str:
    """Return an ISO time as ``20 November 2026, 09:21 UTC``."""
    from datetime import datetime

    if not iso:
        return "–"
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = " UTC" if time.utcoffset() is not None and not time.utcoffset() else ""
    return f"{time.day} {time:%B %Y, %H:%M}{zone}"
