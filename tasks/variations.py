"""Rank variations of a theme, and write the ranking beside the record of their run."""

from __future__ import annotations

import json
import math

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from scoregate.abc.reader import read
from scoregate.abc.score import Score
from scoregate.archive.atomic import write_file
from scoregate.archive.records import PieceRow, RunRecord
from scoregate.archive.store import Archive
from scoregate.experiments.record import Experiment, Table, markdown, write_experiment
from scoregate.findings import Status
from scoregate.tasks.theme import Theme, melody_alone
from scoregate.validators.analysis.theme_distance import melody, notes_of_voice, theme_distance


class Variation(BaseModel):
    """A variation in the ranking.

    Attributes
    ----------
    rank : int
    piece_id, status : str
    distance : float or None
        From the theme: see :func:`ranked`. None where the piece can't be compared.
    exact : bool or None
        Whether its soprano is the given one, note for note; None for a continuation.
    warnings, bars, seed : int or None
    reasons : list of str
        Why it did not pass.
    folder : str
    """

    rank: int = 0
    piece_id: str
    status: str
    distance: float | None = None
    exact: bool | None = None
    warnings: int = 0
    bars: int | None = None
    seed: int | None = None
    reasons: list[str] = []
    folder: str = ""


def ranked(theme: Theme, record: RunRecord, store: Archive) -> list[Variation]:
    """Return the pieces of a run, ranked: those that passed first, by their distance.

    The distance of a continuation is that of its first voice behind the theme from the theme's
    first voice. The distance of a re-harmonisation is that of all its voices from all voices of
    the theme; where the theme has one voice only, the order says which of them add least to it.
    Of equal ones the piece with fewer warnings comes first.
    """
    forced = theme.request.forced
    assert forced is not None, "the request varies a theme"
    given = read(melody_alone(forced.text)) if forced.forced_as == "voice" else read(forced.text)
    whole = read(theme.text)
    seen: dict[str, Variation] = {}
    for row in record.pieces:
        if row.piece_id not in seen:
            score, found = _stored(row, record, store)
            if forced.forced_as == "voice":
                found.exact = notes_of_voice(score) == notes_of_voice(given)
                distance = theme_distance(whole, score)
            else:
                first = forced.text.count("\n[V:")
                distance = theme_distance(melody(given), melody(score), first)
            found.distance = None if math.isnan(distance) else round(distance, 4)
            seen[row.piece_id] = found
    order = sorted(seen.values(), key=_place)
    return [each.model_copy(update={"rank": rank}) for rank, each in enumerate(order, 1)]


@task(name="rank variations", cache_policy=NO_CACHE)
def rank_variations(
    theme: Theme, record: RunRecord, command: str
) -> tuple[list[Variation], dict[str, str]]:
    """Rank the pieces of a run, and write theme, ranking and page beside its record.

    Parameters
    ----------
    theme : Theme
    record : RunRecord
    command : str
        What makes them again.

    Returns
    -------
    list of Variation
    dict of str to str
        Paths of the page, the table, the data and the theme.
    """
    store = Archive(theme.request.out)
    found = ranked(theme, record, store)
    folder = store.run_folder(record.run_id)
    paths = {
        "table": folder / "variations.md",
        "json": folder / "variations.json",
        "theme": folder / "theme.abc",
    }
    content = {
        "run_id": record.run_id,
        "request": theme.request.model_dump(mode="json"),
        "drawn": sum(each.drawn for each in record.rounds),
        "variations": [each.model_dump() for each in found],
    }
    experiment = experiment_of(theme, record, found, command)
    write_file(paths["theme"], theme.text.encode())
    write_file(paths["json"], (json.dumps(content, indent=1) + "\n").encode())
    write_file(paths["table"], markdown(experiment).encode("utf-8", "backslashreplace"))
    page = write_experiment(folder, experiment)["page"]
    return found, {"page": page, **{name: str(path) for name, path in paths.items()}}


def experiment_of(
    theme: Theme, record: RunRecord, variations: list[Variation], command: str
) -> Experiment:
    """Return the ranking as a record of an experiment."""
    forced = theme.request.forced
    assert forced is not None, "the request varies a theme"
    drawn = sum(each.drawn for each in record.rounds)
    passed = sum(one.status == Status.PASSED for one in variations)
    facts = [
        ("theme", f"{forced.name}, bars {forced.bars}, {forced.parent[:12]}"),
        ("style", theme.request.style),
        ("generated", str(drawn)),
        ("passed", str(passed)),
        ("temperature", f"{theme.request.temperature:g}"),
        ("seed", str(record.request["seed"])),
        ("run", record.run_id),
    ]
    if forced.forced_as == "voice":
        exact = sum(one.exact is True for one in variations)
        facts.append(("soprano exact", f"{exact} of {len(variations)}"))
    return Experiment(
        kind="variations",
        title=f"Variations of {forced.name}",
        command=command,
        facts=facts,
        tables=[table(variations)],
    )


def table(variations: list[Variation]) -> Table:
    """Return the ranking as a table."""
    rows = []
    for one in variations:
        exact = {None: "–", True: "exact", False: "changed"}[one.exact]
        rows.append(
            [
                str(one.rank), one.piece_id[:12], one.status,
                "–" if one.distance is None else f"{one.distance:.3f}",
                exact, str(one.warnings), "–" if one.bars is None else str(one.bars),
                "; ".join(one.reasons) or "–",
            ]
        )  # fmt: skip
    return Table(
        title="Ranking",
        columns=["rank", "piece", "verdict", "distance", "soprano", "warnings", "bars", "why not"],
        rows=rows,
        note="Those that passed come first, then the nearest to the theme.",
        numeric=[0, 3, 5, 6],
    )


def _place(one: Variation) -> tuple[bool, bool, float, int]:
    distance = math.inf if one.distance is None else one.distance
    return one.status != Status.PASSED, one.exact is False, distance, one.warnings


def _stored(row: PieceRow, record: RunRecord, store: Archive) -> tuple[Score, Variation]:
    """Return a piece of a run as it was archived, read, and its row in the ranking."""
    run_id = (row.model_extra or {}).get("run_id", record.run_id)
    passed = row.status == Status.PASSED
    folder = store.path_of(row.piece_id)
    if not passed:
        folder = store.rejected_folder(run_id) / row.piece_id
    text = (folder / "score.abc").read_text(encoding="utf-8")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    warnings = sum(finding["severity"] == "warning" for finding in report["findings"])
    return read(text), Variation(
        piece_id=row.piece_id,
        status=str(row.status),
        warnings=warnings,
        bars=row.bars,
        seed=row.seed,
        reasons=row.reasons,
        folder=str(folder),
    )
