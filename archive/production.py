"""A production run: its record as it grows, its journal, and the archive that it fills."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scoregate import __version__
from scoregate.archive.integrity import read_report
from scoregate.archive.records import (
    FindingRecord,
    PieceReport,
    PieceRow,
    RoundRecord,
    RunRecord,
    now,
)
from scoregate.archive.round_work import RoundWork, generation_line, verdict_line
from scoregate.archive.run_journal import FOLDER, RunJournal, begin
from scoregate.archive.run_lock import RunLock
from scoregate.archive.store import Archive, Entry, new_run_id
from scoregate.errors import ArchiveError, CorruptError
from scoregate.findings import Status
from scoregate.generator import Generation
from scoregate.piece import Piece
from scoregate.requests import ProduceRequest
from scoregate.seeds import seeds_of_round
from scoregate.timing import since
from scoregate.unfinished import is_cut_off

GROWTH = 1.25
"""``run.json`` is written again during a round when the number of pieces has grown so much:
writing it after every batch would take a time that grows with the square of the pieces."""


class ProductionRun:
    """A production run under way.

    Parameters
    ----------
    request : ProduceRequest
        With its style in full and its seed chosen.
    engine : mapping
        What the record says of the generator, JSON-ready.
    record : RunRecord, optional
        That of a run that is gone on with.

    Attributes
    ----------
    request : ProduceRequest
    store : Archive
    record : RunRecord
        As written to ``run.json``, after each round at the latest.
    journal : RunJournal
    lock : RunLock
    work : RoundWork or None
        The round under way.
    resumed : bool
        Whether an earlier process began the run.
    """

    def __init__(
        self,
        request: ProduceRequest,
        engine: Mapping[str, Any],
        record: RunRecord | None = None,
    ) -> None:
        self.store = Archive(request.out)
        self.resumed = record is not None
        self.record = record or RunRecord(
            run_id=new_run_id(),
            started=now(),
            version=__version__,
            request=request.model_dump(),
            engine=dict(engine),
            missing=request.count,
        )
        folder = self.store.run_folder(self.record.run_id) / FOLDER
        self.journal = RunJournal(folder)
        self.lock = RunLock(folder)
        self.work: RoundWork | None = None
        self.request = request
        self._passed: set[str] = set()
        self._booked: dict[str, float] = {}
        self._written = 0
        self._ended = False

    @property
    def missing(self) -> int:
        """How many passing pieces the run is still short of."""
        return max(self.request.count - len(self._passed), 0)

    @property
    def finished(self) -> int:
        """How many passing pieces are archived."""
        return len(self._passed)

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
        """Add a remark for the reader of the record, unless it is there."""
        if sentence not in self.record.notes:
            self.record.notes.append(sentence)

    def begin(self, key: str = "", identity: str = "") -> None:
        """Write record and journal before any time is spent on pieces.

        Parameters
        ----------
        key, identity : str
            By which the run is found again: see :func:`scoregate.archive.run_journal.begin`.

        Raises
        ------
        ArchiveError
            The folder can't be written.
        """
        self.store.check_writable()
        self.lock.acquire()
        self.store.write_run(self.record)
        self.journal = begin(self.journal.folder, key, identity)
        self.journal.append([self.lock.line()])

    def restore(self) -> None:
        """Take in what the journal says is finished; the lock is held.

        Raises
        ------
        ArchiveError, CorruptError
            The journal can't be read or written.
        """
        self.record.rounds, self.record.pieces, self.record.finished = [], [], None
        for line in self.journal.lines():
            if line["event"] == "round":
                self._open(line["round"], line["size"])
            elif line["event"] == "round ended":
                self._close_round(line["seconds"])
            elif "index" in line:
                assert self.work is not None, "a piece belongs to a round"
                self.work.note(line)
                if line["event"] == "archived":
                    self._count(self.work.rows[line["index"]])
        self.journal.append([self.lock.line()])

    # Rounds

    def rounds(self) -> Iterator[RoundWork]:
        """Yield the round under way, then the next ones, while pieces are missing."""
        while True:
            if self.work is None:
                number = len(self.record.rounds) + 1
                if not self.missing or number > self.request.rounds:
                    return
                line = {"event": "round", "round": number, "size": self.missing}
                self.journal.append([line])
                self._open(number, self.missing)
            assert self.work is not None, "it was opened"
            yield self.work

    @property
    def rounds_are_used_up(self) -> bool:
        """Whether pieces are missing and the request allows no further round."""
        return bool(self.missing) and len(self.record.rounds) >= self.request.rounds

    def end_round(self) -> None:
        """Close the round under way, and write the record.

        Raises
        ------
        ArchiveError
            The disk is full or can't be written.
        """
        assert self.work is not None, "a round is under way"
        seconds = since(self._booked)
        line = {"event": "round ended", "round": self.work.number, "seconds": seconds}
        self.journal.append([line])
        self._close_round(seconds)
        self._write()

    # Pieces

    def record_generated(self, generations: Iterable[tuple[int, Generation]]) -> None:
        """Record pieces as they are generated, by their index in the round."""
        assert self.work is not None, "a round is under way"
        self._journal(
            "generated",
            [(index, {"generation": generation_line(each)}) for index, each in generations],
        )

    def record_drafts(self, drafts: Iterable[tuple[int, int, Generation]]) -> None:
        """Record drafts as they are drawn, by the index of their piece and their number."""
        assert self.work is not None, "a round is under way"
        self._journal(
            "draft",
            [(i, {"draft": number, "generation": generation_line(each)})
             for i, number, each in drafts],
        )  # fmt: skip

    def record_judged(self, pieces: Sequence[Piece]) -> None:
        """Record the verdicts of pieces, where they are not recorded."""
        assert self.work is not None, "a round is under way"
        new = [piece for piece in pieces if piece.index not in self.work.judged]
        self._journal("judged", [(one.index, {"verdict": verdict_line(one)}) for one in new])

    def record_rendered(self, piece: Piece) -> None:
        """Save the rendered files of a piece until it is archived, and drop them from it.

        The journal's line is not flushed to the disk: a piece whose files a power cut took is
        rendered again.
        """
        self.journal.save_rendered(piece.round, piece.index, piece.files)
        self._journal("rendered", [(piece.index, {"notes": piece.notes})], durable=False)
        piece.files = {}

    def is_rendered(self, piece: Piece) -> bool:
        """Return whether the rendered files of a piece are there and whole."""
        if self.work is None or piece.index not in self.work.rendered:
            return False
        return self.journal.load_rendered(piece.round, piece.index) is not None

    def add(self, pieces: Sequence[Piece]) -> None:
        """Archive what passed, keep the rest apart with its findings, and record both.

        A piece that is in the archive already, from this run or another, is not stored twice;
        within one run it counts once. What the pieces hold beyond the record is dropped.

        Raises
        ------
        ArchiveError
            The disk is full or can't be written. What was archived before stays; the texts are
            in the journal, or, where that can't be written, in the system's temporary folder.
        """
        try:
            entries = self.store.add_all(
                (
                    {"score.abc": piece.text, "raw.abc": piece.raw, **self._files(piece)},
                    report_of(piece, self.record.run_id),
                )
                for piece in pieces
            )
            rows = [self._row(*each) for each in zip(pieces, entries, strict=True)]
            lines = [(each.index, row.model_dump(mode="json")) for each, row in rows]
            self._journal("archived", [(index, {"row": row}) for index, row in lines])
            for _, row in rows:
                self._count(row)
            if len(self.record.pieces) > GROWTH * self._written:
                self._write()
        except ArchiveError as error:
            raise self._rescue(error, pieces) from error
        for piece in pieces:
            self.journal.drop_rendered(piece.round, piece.index)
            piece.files, piece.outcomes = {}, {}

    def count_joined(self) -> None:
        """Count the passing pieces anew, after the record of shards were joined into this one."""
        self._passed = {row.piece_id for row in self.record.pieces if row.status == Status.PASSED}

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

    def end(self, total: float, seconds: Mapping[str, float]) -> None:
        """Write the record for the last time: nothing is left to do.

        Until then a run that is killed is gone on with, even where only its pages are missing.

        Parameters
        ----------
        total, seconds
            As for :meth:`finish`; ``seconds`` names the stage ``report`` at least.

        Raises
        ------
        ArchiveError
            The disk is full or can't be written.
        """
        self.finish(total, seconds)
        self.store.write_run(self.record)
        self._ended = True

    def close(self) -> None:
        """Give the run back: its journal is removed where it has ended, and stays otherwise."""
        if self._ended:
            self.journal.remove()
        self.journal.close()
        self.lock.release()

    # Private

    def _open(self, number: int, size: int) -> None:
        assert self.request.seed is not None, "the request of a run has a seed"
        self.work = RoundWork(number, seeds_of_round(self.request.seed, number, size))

    def _close_round(self, seconds: dict[str, float]) -> None:
        self.record.rounds.append(self._round(seconds))
        self.work = None

    def _round(self, seconds: dict[str, float]) -> RoundRecord:
        assert self.work is not None, "a round is under way"
        rows = [self.work.rows[index] for index in sorted(self.work.rows)]
        return RoundRecord(
            round=self.work.number,
            seeds=[row.seed for row in rows if row.seed is not None],
            drawn=len(rows),
            passed=sum(row.status == Status.PASSED for row in rows),
            rejected=sum(row.status == Status.REJECTED for row in rows),
            not_judged=sum(row.status == Status.NOT_JUDGED for row in rows),
            seconds=seconds,
        )

    def _write(self) -> None:
        """Write ``run.json``, with the round under way as far as it is."""
        self.record.missing = self.missing
        rounds = self.record.rounds
        if self.work is not None:
            rounds = [*rounds, self._round({})]
        self.store.write_run(self.record.model_copy(update={"rounds": rounds}))
        self._written = len(self.record.pieces)

    def _journal(
        self, event: str, values: Sequence[tuple[int, dict[str, Any]]], durable: bool = True
    ) -> None:
        assert self.work is not None, "a round is under way"
        number = self.work.number
        lines = [{"event": event, "round": number, "index": i, **more} for i, more in values]
        self.journal.append(lines, durable)
        for line in lines:
            self.work.note(line)
        self.lock.touch()

    def _files(self, piece: Piece) -> dict[str, bytes]:
        assert self.work is not None, "a round is under way"
        if piece.files or piece.index not in self.work.rendered:
            return piece.files
        files = self.journal.load_rendered(piece.round, piece.index)
        if files is None:
            raise ArchiveError(
                f"The rendered files of a piece have vanished from {self.journal.folder}.",
                "Was the folder removed? The same command renders them again.",
            )
        return files

    def _count(self, row: PieceRow) -> None:
        if row.status == Status.PASSED:
            self._passed.add(row.piece_id)
        self.record.pieces.append(row)

    def _row(self, piece: Piece, entry: Entry) -> tuple[Piece, PieceRow]:
        # The record of a run has no place for the details of all drafts: the piece's report has.
        choice = {k: v for k, v in (piece.generation.choice or {}).items() if k != "drafts"}
        return piece, PieceRow(
            piece_id=entry.piece_id,
            status=piece.status or Status.NOT_JUDGED,
            style=piece.style,
            seed=piece.seed,
            round=piece.round,
            title=piece.title,
            bars=piece.summary.get("bars"),
            reasons=piece.reasons,
            new=entry.new or self._is_own(piece, entry),
            **({"choice": choice} if choice else {}),
        )

    def _is_own(self, piece: Piece, entry: Entry) -> bool:
        """Return whether this run archived the piece before it was killed."""
        if not self.resumed:
            return False
        try:
            report = read_report(entry.path)
        except CorruptError:
            return False
        origin = report.run_id, report.round, report.provenance.get("seed")
        return origin == (self.record.run_id, piece.round, piece.seed)

    def _rescue(self, error: ArchiveError, pieces: Sequence[Piece]) -> ArchiveError:
        """Say where the texts of a batch are that the archive did not take."""
        if self.journal.is_whole():
            return ArchiveError(
                f"{error.problem} The batch's {len(pieces)} texts are in {self.journal.path}.",
                f"{error.remedy} The same command then goes on where it was.",
            )
        path = Path(tempfile.gettempdir()) / f"scoregate-{self.record.run_id}.jsonl"
        try:
            with open(path, "w", encoding="utf-8") as file:
                for piece in pieces:
                    line = {"raw": piece.raw, "provenance": piece.provenance}
                    file.write(json.dumps(line) + "\n")
        except OSError as second:
            return ArchiveError(
                f"{error.problem} The batch's {len(pieces)} texts could not be saved in {path} "
                f"either: {second.strerror}.",
                error.remedy,
            )
        return ArchiveError(
            f"{error.problem} The batch's {len(pieces)} texts are in {path}.", error.remedy
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
