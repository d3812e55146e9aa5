"""Which bars of an engraving to box for a list of findings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from render.engrave import Mark
from validators.score import Score

MOST = 400
"""Boxes a piece gets at most: beyond that the page would be all boxes."""


def marks_of(score: Score | None, findings: Iterable[Any]) -> list[Mark]:
    """Return a mark for each critical finding or warning that names a bar.

    Parameters
    ----------
    score : Score or None
        Tells on which staff a voice stands; without it all staves of the bar are boxed.
    findings : iterable of Finding
        Anything with ``severity``, ``message``, ``gate``, ``voice`` and ``bar``.

    Returns
    -------
    list of Mark
        Critical ones first.
    """
    staves = {voice.id: voice.staff for voice in score.voices} if score else {}
    marks = [
        Mark(
            bar=finding.bar,
            staff=staves.get(finding.voice) if finding.voice is not None else None,
            severity=finding.severity,
            text=str(finding),
        )
        for finding in findings
        if finding.bar is not None and finding.severity in ("critical", "warning")
    ]
    return sorted(marks, key=lambda mark: mark.severity != "critical")[:MOST]
