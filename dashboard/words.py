"""How the pages say things: names of measures, numbers, durations."""

from __future__ import annotations

import math
from typing import Any

from scoregate.findings import Status

MEASURES = {
    "measures.pitch_entropy": ("Pitch entropy", "bits; how many different pitches are in use"),
    "measures.pitch_class_entropy": ("Pitch-class entropy", "bits, at most 3.58"),
    "measures.scale_consistency": ("Scale consistency", "share of notes in the best-fitting scale"),
    "measures.groove_consistency": ("Groove consistency", "likeness of rhythm from bar to bar"),
    "measures.transition_entropy": ("Transition entropy", "bits; how open the next note is"),
    "measures.key_clarity": ("Key clarity", "correlation with the best key profile"),
    "measures.key_margin": ("Key margin", "distance to the second-best key"),
    "measures.harmony_fit": (
        "Harmony fit",
        "share of beats that sound as a triad or seventh chord",
    ),
    "measures.notes": ("Notes", "how many sound; a tie counts once"),
    "harmony.crossings": ("Voice crossings", "a bar; a voice goes below the next lower one"),
    "harmony.parallels": ("Parallels", "fifths and octaves side by side, a bar"),
    "repetition.loop_share": ("Loop share", "share of the piece that goes round in a circle"),
    "repetition.recurrence": ("Recurrence", "likeness of each bar to an earlier one"),
    "repetition.copies": ("Copied bars", "share of bars that equal an earlier one"),
    "novelty.shared_bars": ("Shared bars", "longest run of bars known from the corpus"),
    "novelty.melody_bars": ("Shared melody", "longest stretch in bars of a tune of the corpus"),
    "bars.count": ("Bars", "how many are written"),
    "bars.equal": ("Voices agree", "share of bars whose voices have the same length"),
    "bars.full": ("Full bars", "share of bars that fill their metre"),
    "ranges.out": ("Notes out of range", "share that its instrument or voice can't reach"),
    "ranges.uncomfortable": ("Uncomfortable notes", "share that is a strain to play or sing"),
    "ranges.unknown_voices": ("Unknown parts", "voices whose name is no known instrument"),
    "syntax.notes_read": ("Notes read", "how many the gate finds in the text"),
    "syntax.notes_heard": ("Notes heard", "how many abc2midi plays of the same text"),
}
"""Title and explanation by name of measure, in the order of the pages."""

STATUS_SIGNS = {Status.PASSED: "✓", Status.REJECTED: "✕", Status.NOT_JUDGED: "?"}


def measure_title(name: str) -> str:
    """Return a measure's name for people."""
    if name in MEASURES:
        return MEASURES[name][0]
    return name.rpartition(".")[2].replace("_", " ").capitalize()


def measure_note(name: str) -> str:
    """Return what a measure means, or ``""``."""
    return MEASURES[name][1] if name in MEASURES else ""


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
