"""Distributions as small inline SVG: one strip for each measure, one mark for each piece.

They are not drawn by a plotting library because they follow the colours of the page, in light and
dark and on paper, need no script, have about a kilobyte each, and every mark links its piece.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from scoregate.findings import Status

WIDTH, HEIGHT = 320, 74
_LEFT, _RIGHT, _AXIS = 10, 10, 50
_ROWS = 5
"""Largest number of marks in a stack, where they would cover each other."""


MOST_DOTS = 300
"""More pieces than this are shown as a histogram."""

_BINS = 50


@dataclass(frozen=True, slots=True)
class Dot:
    """One piece in a plot.

    Attributes
    ----------
    value : float
    status : str
    label : str
        Shown as tooltip.
    target : str
        Address of the piece's card, relative to the page.
    """

    value: float
    status: str
    label: str
    target: str


@dataclass(frozen=True, slots=True)
class Line:
    """A threshold.

    Attributes
    ----------
    value : float
    kind : {'critical', 'warning'}
    """

    value: float
    kind: str


@dataclass(frozen=True, slots=True)
class Band:
    """Values of published pieces.

    Attributes
    ----------
    low, high : float
        The 5th and the 95th percentile.
    median : float
    """

    low: float
    median: float
    high: float


def strip(
    name: str, dots: Sequence[Dot], lines: Sequence[Line] = (), band: Band | None = None
) -> Markup:
    """Return a strip plot.

    Parameters
    ----------
    name : str
        Title of the measure; part of the description for screen readers.
    dots : sequence of Dot
        NaN and infinities are left out.
    lines : sequence of Line
    band : Band or None
    """
    dots = [dot for dot in dots if math.isfinite(dot.value)]
    low, high = _extent(dots, lines, band)

    def x(value: float) -> float:
        share = (value - low) / (high - low)
        return round(_LEFT + min(max(share, 0), 1) * (WIDTH - _LEFT - _RIGHT), 1)

    parts = []
    if band is not None:
        parts.append(
            f'<rect class="band" x="{x(band.low)}" y="8" '
            f'width="{max(x(band.high) - x(band.low), 1):.1f}" height="{_AXIS - 8}"/>'
            f'<path class="median" d="M{x(band.median)} 8V{_AXIS}"/>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {_AXIS}H{WIDTH - _RIGHT}"/>')
    for value in _ticks(low, high):
        anchor = "start" if x(value) < 20 else "end" if x(value) > WIDTH - 20 else "middle"
        parts.append(
            f'<path class="axis" d="M{x(value)} {_AXIS}v4"/>'
            f'<text x="{x(value)}" y="{_AXIS + 17}" text-anchor="{anchor}">{value:g}</text>'
        )
    for line in lines:
        parts.append(
            f'<path class="limit {line.kind}" d="M{x(line.value)} 4V{_AXIS}">'
            f"<title>{escape(line.kind)} limit {line.value:g}</title></path>"
        )
    if len(dots) > MOST_DOTS:
        parts.extend(_bars(dots, x))
    for dot, place, row in _stacked(dots, x) if len(dots) <= MOST_DOTS else ():
        parts.append(
            f'<a href="{escape(dot.target)}">{_mark(dot.status, place, _AXIS - 7 - row * 8)}'
            f"<title>{escape(dot.label)}: {dot.value:.4g}</title></a>"
        )
    return Markup(
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_described(name, dots, band))}">{"".join(parts)}</svg>'
    )


def _extent(dots: Sequence[Dot], lines: Sequence[Line], band: Band | None) -> tuple[float, float]:
    values = [dot.value for dot in dots] + [line.value for line in lines]
    if band is not None:
        values += [band.low, band.high]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or max(abs(high) * 0.1, 0.1)
    # The axis of a share does not go below 0 or above 1.
    bottom = max(low - margin, 0.0) if low >= 0 else low - margin
    top = min(high + margin, 1.0) if 0.5 < high <= 1 else high + margin
    return (bottom, top) if top > bottom else (bottom - 0.1, top + 0.1)


def _ticks(low: float, high: float) -> list[float]:
    span = high - low
    step = 10 ** math.floor(math.log10(span / 2))
    while span / step > 5:
        step *= 2 if span / step <= 10 else 2.5
    first = math.ceil(low / step - 1e-9) * step
    return [round(first + step * i, 10) for i in range(int((high - first) / step + 1e-9) + 1)]


def _stacked(dots: Sequence[Dot], x: Callable[[float], float]) -> list[tuple[Dot, float, int]]:
    placed: list[tuple[Dot, float, int]] = []
    ends = [-100.0] * _ROWS
    for dot in sorted(dots, key=lambda dot: dot.value):
        place = x(dot.value)
        free = [row for row in range(_ROWS) if place - ends[row] >= 9]
        row = free[0] if free else min(range(_ROWS), key=lambda row: ends[row])
        ends[row] = place
        placed.append((dot, place, row))
    return placed


def _bars(dots: Sequence[Dot], x: Callable[[float], float]) -> list[str]:
    """Return a histogram, with the pieces that passed below the others."""
    width = (WIDTH - _LEFT - _RIGHT) / _BINS
    counts = [Counter[str]() for _ in range(_BINS)]
    for dot in dots:
        counts[min(int((x(dot.value) - _LEFT) / width), _BINS - 1)][dot.status] += 1
    tallest = max(sum(count.values()) for count in counts)
    bars = []
    for position, count in enumerate(counts):
        bottom = float(_AXIS)
        for status, kind in _KINDS.items():
            height = count[status] / tallest * (_AXIS - 10)
            if height:
                bars.append(
                    f'<rect class="bin {kind}" x="{_LEFT + position * width:.1f}" '
                    f'y="{bottom - height:.1f}" width="{width - 0.6:.1f}" height="{height:.1f}">'
                    f"<title>{count[status]} {escape(status)}</title></rect>"
                )
                bottom -= height
    return bars


_KINDS = {Status.PASSED: "passed", Status.REJECTED: "rejected", Status.NOT_JUDGED: "unjudged"}


def _mark(status: str, x: float, y: float) -> str:
    if status == Status.PASSED:
        return f'<circle class="dot passed" cx="{x}" cy="{y}" r="3.6"/>'
    if status == Status.REJECTED:
        return f'<path class="dot rejected" d="M{x - 3:.1f} {y - 3}l6 6m0 -6l-6 6"/>'
    return f'<circle class="dot unjudged" cx="{x}" cy="{y}" r="3.2"/>'


def _described(name: str, dots: Sequence[Dot], band: Band | None) -> str:
    if not dots:
        return f"{name}: no values"
    values = sorted(dot.value for dot in dots)
    middle = values[len(values) // 2]
    text = (
        f"{name}: {len(values)} pieces from {values[0]:.3g} to {values[-1]:.3g}, "
        f"median {middle:.3g}"
    )
    return text + (f"; real pieces {band.low:.3g} to {band.high:.3g}" if band else "")
