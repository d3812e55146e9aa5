"""The records behind ``report.json`` and ``run.json``, as pydantic models.

A file that is no such record is refused when it is read. Fields that a newer version added are
kept. NaN and infinities, which JSON does not have, are written as ``null``. docs/archive.md
describes every field.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticSerializationError

from scoregate.errors import CorruptError
from scoregate.findings import Status

FORMAT = 1
"""Version of the layout and of both records; a reader refuses a newer one."""


class Record(BaseModel):
    """A record that keeps fields it does not know."""

    model_config = ConfigDict(extra="allow")

    def as_json(self) -> bytes:
        """Return the record as indented UTF-8 JSON, ending with a newline."""
        try:
            return self.model_dump_json(indent=1).encode() + b"\n"
        except (PydanticSerializationError, UnicodeEncodeError):
            # A lone surrogate, or a number of another library's type.
            text = json.dumps(jsonable(self.model_dump()), ensure_ascii=False, indent=1)
            return (text + "\n").encode()


class Sealed(Record):
    """A record that holds the hashes of the files beside it, and a seal over itself.

    Attributes
    ----------
    files : dict of str to str
        SHA-256 by file name.
    seal : str
        SHA-256 of the record without its seal.
    """

    files: dict[str, str] = Field(default_factory=dict)
    seal: str = ""

    def computed_seal(self) -> str:
        """Return the SHA-256 of the record without its seal, keys sorted.

        The record has been read from JSON: its seal is over what stands there, so fields that
        its writer did not know are no part of it.
        """
        content = self.model_dump(exclude={"seal"}, exclude_unset=True)
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def sealed(self) -> Self:
        """Return the record as a reader will see it, with its seal filled in."""
        read = type(self).model_validate_json(self.as_json())
        return read.model_copy(update={"seal": read.computed_seal()})


class FindingRecord(Record):
    """A finding of a gate; its attributes are those of :class:`scoregate.findings.Finding`.

    Attributes
    ----------
    gate, code, severity, message : str
    voice : str or None
    bar, line, column : int or None
    found, expected, part, printed : str or None
    """

    gate: str
    code: str = ""
    severity: str = "critical"
    message: str = ""
    voice: str | None = None
    bar: int | None = None
    line: int | None = None
    column: int | None = None
    found: str | None = None
    expected: str | None = None
    part: str | None = None
    printed: str | None = None

    @property
    def place(self) -> str:
        """``voice 2, bar 33``, or ``""``."""
        parts = []
        if self.voice is not None:
            parts.append(f"voice {self.voice}")
        if self.bar is not None:
            parts.append(f"bar {self.bar}")
        return ", ".join(parts)

    @property
    def position(self) -> str:
        """``line 41, column 18``, or ``""``."""
        parts = []
        if self.line is not None:
            parts.append(f"line {self.line}")
        if self.column is not None:
            parts.append(f"column {self.column}")
        return ", ".join(parts)


class PieceReport(Sealed):
    """The report of a piece, ``report.json`` beside its text.

    Attributes
    ----------
    format : int
        Version of the record.
    piece_id : str
        SHA-256 of ``score.abc``.
    status : Status
    style : str or None
    title : str
        The ``T:`` field; text of unknown origin.
    name : str
        Name made from style, key and bars (:mod:`scoregate.archive.names`).
    run_id : str
    round : int or None
        Round of the run, counted from 1.
    created : str
        UTC, ISO 8601.
    summary, provenance, thresholds : dict
        Described in docs/archive.md.
    findings : list of FindingRecord
    measures : dict of str to float or None
    gates : dict of str to str
        Version of each gate that judged the piece.
    reasons, notes : list of str
        Why it did not pass; what could not be rendered.
    """

    format: int = FORMAT
    piece_id: str = ""
    status: Status
    style: str | None = None
    title: str = ""
    name: str = ""
    run_id: str = ""
    round: int | None = None
    created: str = ""
    summary: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
    findings: list[FindingRecord] = Field(default_factory=list)
    measures: dict[str, float | None] = Field(default_factory=dict)
    thresholds: dict[str, Any] = Field(default_factory=dict)
    gates: dict[str, str] = Field(default_factory=dict)
    reasons: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    @field_validator("measures", mode="before")
    @classmethod
    def _finite(cls, measures: Any) -> Any:
        if not isinstance(measures, dict):
            return measures
        return {name: finite(value) for name, value in measures.items()}


class RoundRecord(Record):
    """One round of a run: a batch generated with new seeds.

    Attributes
    ----------
    round : int
        Counted from 1.
    seeds : list of int
    drawn : int
        Number of pieces generated.
    passed, rejected, not_judged : int
    seconds : dict of str to float
        By step.
    """

    round: int
    seeds: list[int] = Field(default_factory=list)
    drawn: int = 0
    passed: int = 0
    rejected: int = 0
    not_judged: int = 0
    seconds: dict[str, float] = Field(default_factory=dict)


class PieceRow(Record):
    """A piece in the list of its run.

    Attributes
    ----------
    piece_id : str
    status : Status
    style : str or None
    seed, round, bars : int or None
    title : str
    reasons : list of str
    new : bool
        False where the archive had the piece before.

    A row in the record of a run that joins shards also has ``run_id``: the shard that made it.
    One of a piece that was chosen among drafts has ``choice``, as in its provenance but without
    the list of the drafts.
    """

    piece_id: str
    status: Status
    style: str | None = None
    seed: int | None = None
    round: int | None = None
    title: str = ""
    bars: int | None = None
    reasons: list[str] = Field(default_factory=list)
    new: bool = True


class RunRecord(Sealed):
    """The record of a run, ``run.json``.

    Attributes
    ----------
    format : int
    run_id, started, version : str
    finished : str or None
        None while the run goes on.
    request, engine : dict
        What was asked for; provenance of the generator.
    rounds : list of RoundRecord
    pieces : list of PieceRow
    missing : int
        Pieces asked for and not delivered.
    seconds, orchestration_seconds : float or None
        Wall time; the part of it that no stage accounts for.
    stage_seconds : dict of str to float
    notes : list of str
    alarms : list of str
        What the control chart of earlier runs says of this one (:mod:`scoregate.archive.trend`).
    """

    format: int = FORMAT
    run_id: str
    started: str = ""
    finished: str | None = None
    version: str = ""
    request: dict[str, Any] = Field(default_factory=dict)
    engine: dict[str, Any] = Field(default_factory=dict)
    rounds: list[RoundRecord] = Field(default_factory=list)
    pieces: list[PieceRow] = Field(default_factory=list)
    missing: int = 0
    seconds: float | None = None
    orchestration_seconds: float | None = None
    stage_seconds: dict[str, float] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    alarms: list[str] = Field(default_factory=list)

    def count(self, status: Status) -> int:
        """Return how many pieces ended with this status."""
        return sum(piece.status == status for piece in self.pieces)


def parse_report(content: bytes, origin: str) -> PieceReport:
    """Read ``report.json``.

    Raises
    ------
    CorruptError
        When it is no record of this format; ``origin`` names the file.
    """
    return _parse(PieceReport, content, origin)


def parse_run(content: bytes, origin: str) -> RunRecord:
    """Read ``run.json``; raises as :func:`parse_report` does."""
    return _parse(RunRecord, content, origin)


_Model = TypeVar("_Model", PieceReport, RunRecord)


def _parse(model: type[_Model], content: bytes, origin: str) -> _Model:
    try:
        record = model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CorruptError(
            f"{origin} is damaged: {place}: {first['msg']}.",
            "Run `scoregate archive verify` to see what else is.",
        ) from error
    if record.format > FORMAT:
        raise CorruptError(
            f"{origin} was written by a newer Scoregate (format {record.format}).",
            "Update Scoregate to read it.",
        )
    return record


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def finite(value: Any) -> Any:
    """Return None for NaN and infinities, everything else as it is."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def jsonable(value: Any) -> Any:
    """Return a copy that JSON can hold: no NaN, no foreign number types, str keys."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | str):
        # A lone surrogate can't be written as UTF-8.
        return (
            value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        )
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return finite(float(value))
    if isinstance(value, Iterable):
        return [jsonable(item) for item in value]
    if hasattr(value, "item"):
        return jsonable(value.item())
    return str(value)
