"""Small plots as inline SVG: they take the page's colours and need no script."""

from __future__ import annotations

import math
from collections.abc import Mapping

from markupsafe import Markup, escape

from scoregate.dashboard.app.figures import BINS, Distribution, Rate
from scoregate.dashboard.formatting import number

_WIDTH, _HEIGHT, _TOP = 240, 46, 6


def histogram(
    title: str,
    one: Distribution,
    value: float | None = None,
    limits: Mapping[str, float] | None = None,
    other: Distribution | None = None,
) -> Markup:
    """Return a histogram, with the piece's own value and the thresholds drawn in.

    Parameters
    ----------
    title : str
    one : Distribution
    value : float, optional
        Of the piece that is looked at.
    limits : mapping of str to float, optional
        ``critical`` and ``warning``; those beyond the ends are left out.
    other : Distribution, optional
        A second group over the same range, drawn below the first.
    """
    low, high = one.low, one.high

    def x(point: float) -> float:
        return min(max((point - low) / (high - low), 0.0), 1.0) * _WIDTH

    parts = [f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>']
    parts += _bins(one, up=True)
    height = _HEIGHT
    if other is not None:
        parts += _bins(other, up=False)
        height = 2 * _HEIGHT
    for kind, limit in (limits or {}).items():
        if low <= limit <= high:
            parts.append(
                f'<line class="limit {escape(kind)}" x1="{x(limit):.1f}" x2="{x(limit):.1f}" '
                f'y1="0" y2="{height}"/>'
            )
    if value is not None and math.isfinite(value):
        parts.append(
            f'<line class="value" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="0" y2="{height}"/>'
        )
    parts.append(f'<text x="0" y="{height + 11}">{number(low)}</text>')
    parts.append(f'<text x="{_WIDTH}" y="{height + 11}" text-anchor="end">{number(high)}</text>')
    label = f"{title}: half of {one.n} pieces from {number(one.quantiles[1])} to "
    label += f"{number(one.quantiles[3])}"
    if value is not None:
        label += f"; this piece {number(value)}"
    return _picture(label, _WIDTH, height + 14, parts)


def interval(rate: Rate, second: bool = False) -> Markup:
    """Return a share with its interval on an axis from 0 to 100 %."""
    if not rate.drawn:
        return Markup("")
    low, high = rate.interval
    kind = " second" if second else ""
    parts = [
        '<line class="axis" x1="0" x2="200" y1="9" y2="9"/>',
        *(f'<line class="axis" x1="{x}" x2="{x}" y1="5" y2="13"/>' for x in (0, 100, 200)),
        f'<line class="range{kind}" x1="{200 * low:.1f}" x2="{200 * high:.1f}" y1="9" y2="9"/>',
        f'<circle class="dot{kind}" cx="{200 * rate.share:.1f}" cy="9" r="4"/>',
    ]
    return _picture(rate.text, 200, 18, parts)


def _bins(found: Distribution, up: bool) -> list[str]:
    most = max(found.counts) or 1
    width = _WIDTH / BINS
    bars = []
    for position, count in enumerate(found.counts):
        if not count:
            continue
        height = max((_HEIGHT - _TOP) * count / most, 1)
        y = _HEIGHT - height if up else _HEIGHT + 1
        kind = "bin" if up else "bin second"
        bars.append(
            f'<rect class="{kind}" x="{position * width:.1f}" y="{y:.1f}" '
            f'width="{width - 1:.1f}" height="{height:.1f}"/>'
        )
    return bars


def _picture(label: str, width: float, height: float, parts: list[str]) -> Markup:
    return Markup(
        f'<svg class="plot" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{escape(label)}"><title>{escape(label)}</title>{"".join(parts)}</svg>'
    )
