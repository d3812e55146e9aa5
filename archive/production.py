"""A production run: its record as it grows, and the archive that it fills."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoregate import __version__
from scoregate.archive.records import (
    FindingRecord,
    PieceReport,
    PieceRow,
    RoundRecord,
    RunRecord,
    now,
)
from scoregate.archive.store import Archive, Entry, new_run_id
from scoregate.errors import ArchiveError
from scoregate.findings import Status
from scoregate.piece import Piece
from scoregate.requests import ProduceRequest
from scoregate.timing import since
from scoregate.unfinished import is_cut_off


class ProductionRun:
    """A production run under way.

    Parameters
    ----------
    request : ProduceRequest
        With its style in full and its seed chosen.
    engine : mapping
        What the record says of the generator, JSON-ready.

    Attributes
    ----------
    store : Archive
    record : RunRecord
        As written to ``run.json`` after each round.
    """

    def __init__(self, request: ProduceRequest, engine: Mapping[str, Any]) -> None:
        self.store = Archive(request.out)
        self.record = RunRecord(
            run_id=new_run_id(),
            started=now(),
            version=__version__,
            request=request.model_dump(),
            engine=dict(engine),
            missing=request.count,
        )
        self._wanted = request.count
        self._passed: set[str] = set()
        self._booked: dict[str, float] = {}

    @property
    def missing(self) -> int:
        """How many passing pieces the run is still short of."""
        return self._wanted - len(self._passed)

    @property
    def cut_off(self) -> int:
        """How many pieces a limit of the request cut off."""
        return sum(is_cut_off(piece.reasons) for piece in self.record.pieces)

    @property
    def last_round(self) -> str:
        """The round archived last, in a sentence."""
        last = self.record.rounds[-1]
        return (
            f"{last.drawn} generated, {last.passed} passed, {last.rejected} rejected, "
            f"{last.not_judged} could not be judged; {self.missing} missing"
        )

    def note(self, sentence: str) -> None:
        """Add a remark for the reader of the record."""
        self.record.notes.append(sentence)

    def begin(self) -> None:
        """Write the record before any time is spent on pieces.

        Raises
        ------
        ArchiveError
            The folder can't be written.
        """
        self.store.check_writable()
        self.store.write_run(self.record)

    def add_round(self, number: int, pieces: Sequence[Piece]) -> None:
        """Archive what passed, keep the rest apart with its findings, and record the round.

        A piece that is in the archive already, from this run or another, is not stored twice;
        within one run it counts once. What the pieces hold beyond the record is dropped.

        Raises
        ------
        ArchiveError
            The disk is full or can't be written. What was archived before stays, and the
            round's texts are saved in the system's temporary folder, which the error names.
        """
        row = RoundRecord(round=number, seeds=[piece.seed for piece in pieces], drawn=len(pieces))
        try:
            entries = self.store.add_all(
                (
                    {"score.abc": piece.text, "raw.abc": piece.raw, **piece.files},
                    report_of(piece, self.record.run_id),
                )
                for piece in pieces
            )
            for piece, entry in zip(pieces, entries, strict=True):
                self._count(row, piece, entry)
            row.seconds = since(self._booked)
            self.record.rounds.append(row)
            self.record.missing = self.missing
            self.store.write_run(self.record)
        except ArchiveError as error:
            raise self._rescue(error, pieces) from error
        for piece in pieces:
            piece.files, piece.outcomes = {}, {}

    def finish(self, total: float, seconds: Mapping[str, float]) -> None:
        """Write down the end of the run and its times.

        Parameters
        ----------
        total : float
            Seconds from the start of the flow.
        seconds : mapping of str to float
            Seconds by stage. The stage ``report`` comes after ``total`` was taken.
        """
        self.record.finished = self.record.finished or now()
        self.record.missing = self.missing
        self.record.seconds = round(total, 3)
        self.record.stage_seconds = {stage: round(each, 3) for stage, each in seconds.items()}
        self.record.orchestration_seconds = round(
            total - sum(each for stage, each in seconds.items() if stage != "report"), 3
        )

    def _count(self, row: RoundRecord, piece: Piece, entry: Entry) -> None:
        if piece.passed:
            row.passed += 1
            self._passed.add(entry.piece_id)
        else:
            row.rejected += piece.status == Status.REJECTED
            row.not_judged += piece.status != Status.REJECTED
        self.record.pieces.append(
            PieceRow(
                piece_id=entry.piece_id,
                status=piece.status or Status.NOT_JUDGED,
                style=piece.style,
                seed=piece.seed,
                round=piece.round,
                title=piece.title,
                bars=piece.summary.get("bars"),
                reasons=piece.reasons,
                new=entry.new,
            )
        )

    def _rescue(self, error: ArchiveError, pieces: Sequence[Piece]) -> ArchiveError:
        """Save the texts of a round that the archive did not take; return the error to raise."""
        path = Path(tempfile.gettempdir()) / f"scoregate-{self.record.run_id}.jsonl"
        try:
            with open(path, "w", encoding="utf-8") as file:
                for piece in pieces:
                    line = {"raw": piece.raw, "provenance": piece.provenance}
                    file.write(json.dumps(line) + "\n")
        except OSError as second:
            return ArchiveError(
                f"{error.problem} The round's {len(pieces)} texts could not be saved in {path} "
                f"either: {second.strerror}.",
                error.remedy,
            )
        return ArchiveError(
            f"{error.problem} The round's {len(pieces)} texts are in {path}.", error.remedy
        )


def report_of(piece: Piece, run_id: str) -> PieceReport:
    """Return what ``report.json`` says of a judged and rendered piece."""
    return PieceReport(
        status=piece.status or Status.NOT_JUDGED,
        style=piece.style,
        title=piece.title,
        run_id=run_id,
        round=piece.round,
        summary=piece.summary,
        provenance=piece.provenance,
        findings=[FindingRecord(**finding.as_dict()) for finding in piece.findings],
        measures={**piece.measures},
        thresholds=piece.thresholds,
        gates={gate: outcome.version for gate, outcome in piece.outcomes.items()},
        reasons=piece.reasons,
        notes=piece.notes,
    )
