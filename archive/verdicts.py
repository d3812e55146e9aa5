"""Verdicts that were given later: an archived piece judged again, beside its first verdict.

The report of a piece is never changed. Judging the archive again under other gates or thresholds
writes one file, ``archive/judgements/<id>.jsonl``: a line for each piece, and a last line with the
SHA-256 of the lines before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from scoregate.archive import catalog, schema
from scoregate.archive.atomic import write_file
from scoregate.archive.dialects import Connection
from scoregate.archive.records import FindingRecord, Record
from scoregate.archive.store import Archive, new_run_id
from scoregate.errors import CorruptError
from scoregate.findings import Status

JUDGEMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class LaterVerdict(Record):
    """What gates said of an archived piece when it was judged again.

    Attributes
    ----------
    entry : str
        ``id`` of the entry in the catalog.
    status : Status
        The new verdict.
    before : Status
        The verdict in the piece's report.
    judged : str
        UTC, ISO 8601.
    gates : dict of str to str
        Version of each gate.
    thresholds : str
        Version of the thresholds.
    reasons : list of str
    findings : list of FindingRecord
    measures : dict of str to float or None
    """

    entry: str
    status: Status
    before: Status
    judged: str = Field(default_factory=lambda: datetime.now(UTC).isoformat())
    gates: dict[str, str] = Field(default_factory=dict)
    thresholds: str = ""
    reasons: list[str] = Field(default_factory=list)
    findings: list[FindingRecord] = Field(default_factory=list)
    measures: dict[str, float | None] = Field(default_factory=dict)


def write_judgement(store: Archive, verdicts: Iterable[LaterVerdict]) -> Path:
    """Write the verdicts of one judgement and insert their rows; return the file.

    Raises
    ------
    ArchiveError
        The folder can't be written.
    """
    verdicts = list(verdicts)
    lines = b"".join(verdict.model_dump_json().encode() + b"\n" for verdict in verdicts)
    seal = json.dumps({"sha256": hashlib.sha256(lines).hexdigest()}).encode() + b"\n"
    path = store.root / "judgements" / f"{new_run_id()}.jsonl"
    write_file(path, lines + seal)
    with catalog.insertion(store) as connection:
        if connection is not None:
            insert_verdicts(connection, path.stem, verdicts)
    return path


def insert_verdicts(
    connection: Connection, judgement: str, verdicts: Iterable[LaterVerdict]
) -> None:
    """Insert the rows of a judgement into the catalog's table ``verdicts``."""
    schema.insert_verdicts(
        connection,
        [
            (judgement, one.entry, str(one.status), str(one.before), one.judged,
             json.dumps(one.gates), one.thresholds, json.dumps(one.reasons))
            for one in verdicts
        ],
    )  # fmt: skip


def read_judgement(path: Path) -> list[LaterVerdict]:
    """Read a file of verdicts.

    Raises
    ------
    CorruptError
        It was changed, or is no such file.
    """
    lines = path.read_bytes().splitlines(keepends=True)
    try:
        expected = json.loads(lines[-1])["sha256"]
        if hashlib.sha256(b"".join(lines[:-1])).hexdigest() != expected:
            raise ValueError("its lines are not those that were written")
        return [LaterVerdict.model_validate_json(line) for line in lines[:-1]]
    except (ValueError, KeyError, TypeError, IndexError, ValidationError) as error:
        raise CorruptError(f"{path} is damaged: {error}.", "Judge the archive again.") from error


def judgements(store: Archive) -> list[Path]:
    """Return the files of all judgements, oldest first."""
    return sorted((store.root / "judgements").glob("*.jsonl"))


def verdicts_of(store: Archive, entry: str) -> list[dict[str, Any]]:
    """Return the later verdicts on an entry, oldest first, as the catalog holds them."""
    query = "SELECT * FROM verdicts WHERE entry = ? ORDER BY judged_utc, judgement"
    return catalog.answer(
        store, lambda connection: [dict(row) for row in connection.execute(query, (entry,))]
    )


def damaged_judgements(store: Archive) -> Iterator[tuple[Path, str]]:
    """Yield the files of verdicts that are damaged, with what is wrong."""
    for path in judgements(store):
        try:
            read_judgement(path)
        except CorruptError as error:
            yield path, error.problem
