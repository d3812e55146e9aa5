"""Begin a run, file its pieces round by round, and write its record."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate import __version__
from scoregate.archive.records import (
    FindingRecord,
    PieceReport,
    PieceRow,
    RoundRecord,
    RunRecord,
    now,
)
from scoregate.archive.store import Archive, new_run_id, piece_id
from scoregate.errors import ArchiveError
from scoregate.findings import Status
from scoregate.piece import Batch, Draft
from scoregate.tasks.judge import ENDED, Judged
from scoregate.tasks.render import Rendering
from scoregate.timing import since, spent
from scoregate.validators import abc2midi

if TYPE_CHECKING:
    from scoregate.requests import ProduceRequest


class Run:
    """A run under way: its record so far and the archive it goes into."""

    def __init__(self, request: ProduceRequest, engine: dict[str, Any]) -> None:
        self.store = Archive(request.out)
        self.wanted = request.count
        self.passed: set[str] = set()
        self.booked: dict[str, float] = {}
        self.record = RunRecord(
            run_id=new_run_id(),
            started=now(),
            version=__version__,
            request=request.model_dump(),
            engine=engine,
            missing=request.count,
        )

    @property
    def missing(self) -> int:
        """How many passing pieces the run is still short of."""
        return self.wanted - len(self.passed)

    def note(self, sentence: str) -> None:
        """Add a remark to the run's record."""
        self.record.notes.append(sentence)

    @property
    def cut_off(self) -> int:
        """How many pieces were cut off by a limit of the request."""
        reasons = {f"ended: {ENDED[why]}" for why in ("length", "time")}
        return sum(not reasons.isdisjoint(piece.reasons) for piece in self.record.pieces)

    @property
    def last_round(self) -> str:
        """The round just filed, in a sentence."""
        last = self.record.rounds[-1]
        return (
            f"{last.drawn} drawn, {last.passed} passed, {last.rejected} rejected, "
            f"{last.not_judged} could not be judged; {self.missing} missing"
        )


@task(name="begin run", cache_policy=NO_CACHE)
def begin_run(request: ProduceRequest, engine: dict[str, Any]) -> Run:
    """Open the archive and note the run before anything is spent on it.

    Raises
    ------
    ArchiveError
        The folder can't be written.
    ToolError
        There is no abc2midi, so that no piece could pass.
    """
    with spent("archive"):
        abc2midi.find()
        run = Run(request, engine)
        run.store.check_writable()
        run.store.write_run(run.record)
        return run


@task(name="archive", task_run_name="archive round {number}", cache_policy=NO_CACHE)
def file_pieces(
    run: Run,
    number: int,
    drafts: Batch[Draft],
    verdicts: Batch[Judged],
    renderings: Batch[Rendering],
) -> Run:
    """Archive what passed, keep the rest apart with its findings, and note the round.

    A piece that is in the archive already, from this run or another, is not stored twice;
    within one run it counts once.

    Raises
    ------
    ArchiveError
        The disk is full or can't be written. What was filed before stays, and the round's
        texts are put into the system's temporary folder, which the error names.
    """
    with spent("archive"):
        row = RoundRecord(round=number, seeds=[draft.seed for draft in drafts], drawn=len(drafts))
        try:
            for draft, judged, rendering in zip(drafts, verdicts, renderings, strict=True):
                _file(run, row, draft, judged, rendering)
            row.seconds = since(run.booked)
            run.record.rounds.append(row)
            run.record.missing = run.missing
            run.store.write_run(run.record)
        except ArchiveError as error:
            raise _rescued(error, run, drafts) from error
        return run


def _file(run: Run, row: RoundRecord, draft: Draft, judged: Judged, rendering: Rendering) -> None:
    files: dict[str, bytes | str] = {"score.abc": judged.text, "raw.abc": draft.raw}
    files |= rendering.files
    identifier = piece_id(judged.text)
    report = PieceReport(
        status=judged.status,
        style=draft.style,
        title=judged.title,
        run_id=run.record.run_id,
        round=draft.round,
        summary=judged.summary,
        provenance=draft.provenance,
        findings=[FindingRecord(**finding.as_dict()) for finding in judged.findings],
        measures={**judged.measures},
        thresholds=judged.thresholds,
        gates=judged.gates,
        reasons=judged.reasons,
        notes=rendering.notes,
    )
    if judged.status == Status.PASSED:
        entry = run.store.add(files, report)
        row.passed += 1
        run.passed.add(identifier)
    else:
        entry = run.store.reject(run.record.run_id, files, report)
        row.rejected += judged.status == Status.REJECTED
        row.not_judged += judged.status != Status.REJECTED
    run.record.pieces.append(
        PieceRow(
            piece_id=identifier,
            status=judged.status,
            style=draft.style,
            seed=draft.seed,
            round=draft.round,
            title=judged.title,
            bars=judged.summary.get("bars"),
            reasons=judged.reasons,
            new=entry.new,
        )
    )


def _rescued(error: ArchiveError, run: Run, drafts: Batch[Draft]) -> ArchiveError:
    """Save the texts of a round that the archive would not take."""
    path = Path(tempfile.gettempdir()) / f"scoregate-{run.record.run_id}.jsonl"
    try:
        with open(path, "w", encoding="utf-8") as file:
            for draft in drafts:
                file.write(json.dumps({"raw": draft.raw, "provenance": draft.provenance}) + "\n")
    except OSError as second:
        return ArchiveError(
            f"{error.problem} Nor could the round's {len(drafts)} texts be saved in {path}: "
            f"{second.strerror}.",
            error.remedy,
        )
    return ArchiveError(
        f"{error.problem} The round's {len(drafts)} texts are in {path}.", error.remedy
    )


@task(name="record run", cache_policy=NO_CACHE)
def record_run(run: Run, seconds: dict[str, float], total: float) -> RunRecord:
    """Write the finished record, the run's page and the archive's; return the record."""
    from scoregate.dashboard.report import run_page
    from scoregate.dashboard.shelf import shelf_page

    run.record.finished = now()
    run.record.missing = run.missing
    run.record.seconds = round(total, 3)
    with spent("report"):
        run.store.write_run(run.record, run_page(run.store, run.record))
        run.store.write_shelf(shelf_page(run.store))
    run.record.stage_seconds = {stage: round(spent_, 3) for stage, spent_ in seconds.items()}
    run.record.orchestration_seconds = round(
        total - sum(value for stage, value in seconds.items() if stage != "report"), 3
    )
    run.store.write_run(run.record)
    return run.record
