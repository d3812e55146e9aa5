"""The embedded model's training curve as numbers and as a picture.

``python -m benchmarks.training_curve FOLDER`` copies FOLDER/curve.csv, which training wrote,
to benchmarks/results/training_curve.csv and draws training_curve.svg beside it.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 320, 56, 40, 30
SERIES = (
    ("loss", "training, bits a character", "#3566a8", 1 / math.log(2)),
    ("validation", "validation, bits a character (averaged weights)", "#c0392b", 1.0),
    ("auxiliary", "auxiliary loss / 5", "#7a8b3a", 0.2),
)


def read(path: Path) -> list[dict[str, float | None]]:
    """Rows of a curve; empty cells are None."""
    with path.open(newline="") as stream:
        return [
            {key: float(value) if value else None for key, value in row.items()}
            for row in csv.DictReader(stream)
        ]


def draw(rows: list[dict[str, float | None]], ends: list[tuple[int, str]]) -> str:
    """Return an SVG of the series over the steps, with the stages' ends marked."""
    last = max(row["step"] or 0 for row in rows)
    top = 1.4

    def x(step: float) -> float:
        return LEFT + step / last * (WIDTH - LEFT - 12)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - min(value, top) / top * (HEIGHT - BOTTOM - TOP)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for tick in range(0, 15, 2):
        value = tick / 10
        out.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 12}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            f'stroke="#ddd"/><text x="{LEFT - 6}" y="{y(value) + 4:.1f}" '
            f'text-anchor="end">{value:.1f}</text>'
        )
    for step in range(0, int(last) + 1, 5000):
        out.append(
            f'<text x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{step // 1000}k</text>"
        )
    for step, name in ends:
        if step < last:
            out.append(
                f'<line x1="{x(step):.1f}" x2="{x(step):.1f}" y1="{TOP}" '
                f'y2="{HEIGHT - BOTTOM}" stroke="#999" stroke-dasharray="4 3"/>'
                f'<text x="{x(step) + 3:.1f}" y="{TOP - 4}" fill="#666">{name}</text>'
            )
    for n, (key, label, colour, scale) in enumerate(SERIES):
        points = " ".join(
            f"{x(row['step'] or 0):.1f},{y(value * scale):.1f}"
            for row in rows
            if (value := row[key]) is not None
        )
        out.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            f'<text x="{WIDTH - 14}" y="{TOP + 14 + 15 * n}" text-anchor="end" '
            f'fill="{colour}">{label}</text>'
        )
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">steps</text></svg>')
    return "\n".join(out) + "\n"


def main(folder: Path) -> None:
    """Copy the numbers and draw them."""
    from scoregate.notagen.training.project import named_settings

    text = (folder / "curve.csv").read_text()
    (RESULTS / "training_curve.csv").write_text(text)
    stages, at = [], 0
    for stage, name in zip(
        named_settings().stages[:-1],
        ("Bach comes in", "mostly Bach", "rate falls to 0"),
        strict=True,
    ):
        at += stage.steps
        stages.append((at, name))
    (RESULTS / "training_curve.svg").write_text(draw(read(folder / "curve.csv"), stages))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
