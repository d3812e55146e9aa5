"""What is said of the pieces of a cell: pass rate with its interval, reasons, measures, cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from scoregate.findings import Status
from scoregate.intervals import wilson


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of pieces.

    Parameters
    ----------
    rows : sequence of mapping
        As :mod:`scoregate.generation.judging` writes them: ``status``, ``reasons``, ``gates``,
        ``measures``, ``steps``, ``characters``, ``resampled_lines``, ``refused_lines``,
        ``seconds``; ``characters_drawn`` and ``characters_kept`` where they were counted.

    Returns
    -------
    dict
        ``pieces``, ``passed``, ``rate``, ``low``, ``high`` (Wilson), ``not_judged``; ``reasons``:
        share of all pieces that each gate rejects (a piece may count for several); ``measures``:
        the median of each; ``steps_per_character``; ``drawn_per_kept``: characters drawn over those
        that stand in the texts, None for rows without the count; ``resampled_lines`` a piece;
        ``seconds`` of processor time a piece and a passing piece.
    """
    count = len(rows)
    passed = sum(row["status"] == Status.PASSED for row in rows)
    low, high = wilson(passed, count)
    gates: Counter[str] = Counter()
    for row in rows:
        gates.update(set(row["gates"]))
    characters = sum(row["characters"] for row in rows)
    seconds = sum(row["seconds"] for row in rows)
    # Rows of older versions have no such count, and then the ratio would be of other pieces.
    kept = sum(row.get("characters_kept", 0) for row in rows)
    if not all("characters_drawn" in row for row in rows):
        kept = 0
    names = sorted({name for row in rows for name in row["measures"]})
    return {
        "pieces": count,
        "passed": passed,
        "rate": passed / count if count else None,
        "low": low,
        "high": high,
        "not_judged": sum(row["status"] == Status.NOT_JUDGED for row in rows),
        "reasons": {gate: number / count for gate, number in gates.most_common()},
        "measures": {
            name: median(row["measures"][name] for row in rows if name in row["measures"])
            for name in names
        },
        "steps_per_character": sum(row["steps"] for row in rows) / characters
        if characters
        else None,
        "drawn_per_kept": sum(row["characters_drawn"] for row in rows) / kept if kept else None,
        "resampled_lines": sum(row["resampled_lines"] for row in rows) / count if count else None,
        "refused_lines": sum(row["refused_lines"] for row in rows) / count if count else None,
        "seconds_per_piece": seconds / count if count else None,
        "seconds_per_passed": seconds / passed if passed else None,
    }
