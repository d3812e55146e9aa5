"""The page of a study: its tables as Markdown, its figures as SVG.

Numbers only; what they mean is written by a person.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scoregate.lstm.study.effects import Estimate, effects, mean, share
from scoregate.lstm.study.figures import draw_effects, draw_losses, draw_temperatures
from scoregate.lstm.study.plan import Plan

RESPONSES = {
    "test_nats": "held-out loss, nats",
    "passed": "gate pass rate",
    "pitch_entropy": "pitch entropy, bits",
    "groove": "groove consistency",
    "distance": "distance of transitions, bits",
    "key_clarity": "key clarity",
    "recurrence": "recurrence of bars",
    "copied": "longest copied run, notes",
    "similarity": "similarity between pieces",
}
OF_PIECES = ("pitch_entropy", "groove", "key_clarity", "recurrence", "copied")
NOT_KNOWN = "–"

Record = dict[str, Any]


def write_page(
    plan: Plan, records: Sequence[Record], references: dict[str, Record], folder: Path
) -> dict[str, Path]:
    """Write ``results.md`` and the figures; return their paths by kind.

    Parameters
    ----------
    plan : Plan
    records : sequence of dict
        Of the arms that are finished, as ``tasks/study.py`` makes them.
    references : dict of str to dict
        Sets of other pieces.
    folder : Path
    """
    paths = {
        "results": folder / "results.md",
        "losses": folder / "losses.svg",
        "effects": folder / "effects.svg",
        "temperatures": folder / "temperatures.svg",
    }
    parts = []
    for readout, title in (("updates", "equal updates"), ("time", "equal processor time")):
        parts += [f"## With {title}\n", arms_table(plan, records, readout)]
        parts += [f"### Effects with {title}\n", effects_table(plan, records, readout)]
    parts += ["## Temperatures\n", temperatures_table(plan, records)]
    parts += ["## Beside other pieces\n", references_table(references)]
    parts += ["## Why pieces do not pass\n", reasons_table(plan, records)]
    paths["results"].write_text("\n".join(parts) + "\n")
    draw_losses(records, paths["losses"])
    draw_effects(
        {
            readout: {
                title: effects_on(plan, records, readout, name) for name, title in RESPONSES.items()
            }
            for readout in ("updates", "time")
        },
        paths["effects"],
    )
    of_temperatures = temperatures_of(plan, records)
    draw_temperatures(
        {RESPONSES[name]: arms for name, arms in of_temperatures.items()}, paths["temperatures"]
    )
    return paths


def value_of(record: Record, readout: str, name: str, temperature: str) -> float:
    """Return a response of one run; NaN where it diverged or could not be measured.

    Parameters
    ----------
    record : dict
    readout : {'updates', 'time'}
    name : str
        Of :data:`RESPONSES`.
    temperature : str
    """
    row = record["readouts"][readout]
    if row["diverged"]:
        return math.nan
    if name == "test_nats":
        return row[name]
    found = row["sets"][temperature]
    if name in ("distance", "similarity"):
        return math.nan if found[name] is None else found[name]
    if name == "passed":
        return sum(piece["passed"] for piece in found["pieces"]) / len(found["pieces"])
    return mean(_values(found["pieces"], name)).value


def effects_on(
    plan: Plan, records: Sequence[Record], readout: str, name: str
) -> dict[str, Estimate]:
    """Return the effects of the factors on a response at the first temperature."""
    temperature = str(plan.temperatures[0])
    responses = [(r["changed"], value_of(r, readout, name, temperature)) for r in records]
    return effects(responses)


def arms_table(plan: Plan, records: Sequence[Record], readout: str) -> str:
    """Return a table with a row for each arm, its seeds together."""
    temperature = str(plan.temperatures[0])
    heads = ["arm", "runs", "updates", "seconds", *RESPONSES.values()]
    lines = [heads]
    for name, group in _by_arm(records).items():
        rows = [record["readouts"][readout] for record in group]
        good = [record for record in group if not record["readouts"][readout]["diverged"]]
        if not good:
            lines.append([name, f"{len(rows)}, all diverged", *[NOT_KNOWN] * (len(heads) - 2)])
            continue
        told = f"{len(good)}" + (
            f" of {len(rows)}, others diverged" if len(good) < len(rows) else ""
        )
        cells = [name, told]
        cells += [_spread(rows, "steps", "{:.0f}"), _spread(rows, "seconds", "{:.0f}")]
        for response in RESPONSES:
            cells.append(_cell(good, readout, response, temperature))
        lines.append(cells)
    return _table(lines)


def effects_table(plan: Plan, records: Sequence[Record], readout: str) -> str:
    """Return a table of effects: bold where the interval of 95 % excludes 0."""
    found = {name: effects_on(plan, records, readout, name) for name in RESPONSES}
    terms = list(found["test_nats"])
    lines = [["response", *terms]]
    for name, title in RESPONSES.items():
        lines.append([title, *(_effect(found[name][term]) for term in terms)])
    return _table(lines)


def temperatures_of(plan: Plan, records: Sequence[Record]) -> dict[str, dict[str, list[Estimate]]]:
    """Return, by response and arm (``original``, ``all``), the means at each temperature."""
    ordered = sorted(plan.temperatures)
    groups = _by_arm(records)
    found: dict[str, dict[str, list[Estimate]]] = {}
    for name in ("passed", "pitch_entropy", "recurrence", "distance", "similarity", "copied"):
        found[name] = {}
        for arm in ("original", "all"):
            good = [r for r in groups.get(arm, []) if not r["readouts"]["time"]["diverged"]]
            if good:
                estimates = [_estimate(good, "time", name, str(each)) for each in ordered]
                found[name][arm] = estimates
    return found


def temperatures_table(plan: Plan, records: Sequence[Record]) -> str:
    """Return what each temperature does, over all arms, with equal time."""
    lines = [["temperature", *list(RESPONSES.values())[1:]]]
    good = [record for record in records if not record["readouts"]["time"]["diverged"]]
    for temperature in sorted(plan.temperatures):
        row = [f"{temperature:g}"]
        for name in list(RESPONSES)[1:]:
            row.append(_cell(good, "time", name, str(temperature)))
        lines.append(row)
    return _table(lines)


def references_table(references: dict[str, Record]) -> str:
    """Return the measures of real pieces and of embedded models."""
    lines = [["pieces", "number", *list(RESPONSES.values())[1:]]]
    for name, found in references.items():
        pieces = found["pieces"]
        row = [name, str(len(pieces)), _show(share(_passed(pieces), len(pieces)))]
        for response in list(RESPONSES)[2:]:
            if response in OF_PIECES:
                row.append(_show(mean(_values(pieces, response))))
            else:
                row.append(NOT_KNOWN if found[response] is None else f"{found[response]:.3f}")
        lines.append(row)
    return _table(lines)


def reasons_table(plan: Plan, records: Sequence[Record]) -> str:
    """Return, by arm, the gates that rejected pieces, with equal time."""
    lines = [["arm", "pieces", "rejected by"]]
    for name, group in _by_arm(records).items():
        pieces = _pieces(group, "time", str(plan.temperatures[0]))
        counts = Counter(reason for piece in pieces for reason in piece["reasons"])
        told = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
        lines.append([name, str(len(pieces)), told or "none"])
    return _table(lines)


def _by_arm(records: Sequence[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["arm"], []).append(record)
    return groups


def _pieces(group: Sequence[Record], readout: str, temperature: str) -> list[Record]:
    return [
        piece
        for record in group
        if not record["readouts"][readout]["diverged"]
        for piece in record["readouts"][readout]["sets"][temperature]["pieces"]
    ]


def _estimate(good: Sequence[Record], readout: str, name: str, temperature: str) -> Estimate:
    """Return a response over runs: over their pieces where it is a measure of pieces."""
    if name == "passed":
        pieces = _pieces(good, readout, temperature)
        return share(_passed(pieces), len(pieces))
    if name in OF_PIECES:
        return mean(_values(_pieces(good, readout, temperature), name))
    return mean([value_of(record, readout, name, temperature) for record in good])


def _cell(good: Sequence[Record], readout: str, name: str, temperature: str) -> str:
    return _show(_estimate(good, readout, name, temperature))


def _passed(pieces: Sequence[Record]) -> int:
    return sum(piece["passed"] for piece in pieces)


def _values(pieces: Sequence[Record], name: str) -> list[float]:
    return [math.nan if piece[name] is None else piece[name] for piece in pieces]


def _spread(rows: Sequence[Record], name: str, form: str) -> str:
    values = [row[name] for row in rows]
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def _show(found: Estimate) -> str:
    if math.isnan(found.value):
        return NOT_KNOWN
    text = _digits(found.value)(found.value)
    if math.isnan(found.low):
        return text
    form = _digits(found.value)
    return f"{text} [{form(found.low)}, {form(found.high)}]"


def _effect(found: Estimate) -> str:
    if math.isnan(found.value):
        return NOT_KNOWN
    text = f"{found.value:+.3f}"
    if math.isnan(found.low):
        return text
    text = f"{text} ± {found.high - found.value:.3f}"
    return f"**{text}**" if found.sign else text


def _digits(value: float) -> Callable[[float], str]:
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return lambda each: f"{each:.{digits}f}"


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *rows = lines
    marks = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows)) + "\n"
