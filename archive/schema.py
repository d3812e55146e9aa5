"""The tables of the catalog, and the rows that a report or a run record gives.

``pieces``: one row an entry, whether it passed or not.

=================  =======  ==============================================================
column             type     content
=================  =======  ==============================================================
number             INTEGER  key that the other tables refer to; changes with every rebuild
id                 TEXT     stable name of the entry: the SHA-256 of its text where it
                            passed, ``<SHA-256>.<run id>`` where it did not, because the
                            same text may be rejected in several runs
text_sha256        TEXT     SHA-256 of the finished text, the piece id in the report
status             TEXT     ``passed``, ``rejected`` or ``could not be judged``
name               TEXT     ``Chorale in E minor, 12 bars``
title              TEXT     the ``T:`` field; text of unknown origin
style              TEXT     ``Baroque/Bach, Johann Sebastian/Choral``, or ``""``
run_id             TEXT     run that generated it first
round, seed        INTEGER  NULL where unknown; a seed beyond 64 bits is NULL
key, metre         TEXT     as ABC writes them, or ``""``
bars, voices       INTEGER
tempo              REAL     quarter notes a minute, NULL where none is given
model              TEXT     name of the generator, or ``""``
weights            TEXT     name of its weights, or ``""``
weights_sha256     TEXT
temperature        REAL
top_k              INTEGER
top_p              REAL
resampled_lines    INTEGER  lines that were generated again within the piece
warnings           INTEGER  number of findings that are warnings
created_utc        TEXT     ISO 8601
folder             TEXT     its folder, relative to the folder that holds ``archive/``
=================  =======  ==============================================================

``findings``: ``piece`` (pieces.number), ``position`` (from 0, the order in the report),
``gate``, ``code``, ``severity``, ``voice``, ``bar``, ``line``, ``column``, ``message``.

``measures``: ``piece`` (pieces.number), ``name``, ``value`` (NULL where undefined).

``runs``: ``id``, ``started_utc``, ``finished_utc``, ``style``, ``status`` (``finished``, or
``unfinished`` where the run goes on or was ended by force), ``requested``, ``passed``,
``rejected``, ``not_judged``, ``missing``, ``seconds``, ``record`` (``run.json`` as JSON
without ``pieces`` and ``files``).

``verdicts``: ``judgement``, ``entry`` (pieces.id), ``status``, ``before`` (status in the report),
``judged_utc``, ``gates`` (versions by name, JSON), ``thresholds`` (version), ``reasons`` (JSON):
verdicts of pieces that were judged again (:mod:`scoregate.archive.verdicts`).

``piece_search``: index of what ``name``, ``title`` and ``style`` contain, by groups of three
characters; a term needs three or more. The :class:`~scoregate.archive.dialects.Dialect` of the
database makes it, and the tables that one of the two databases alone has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoregate.archive.dialects import Connection
from scoregate.archive.names import name_of_summary
from scoregate.archive.records import PieceReport, RunRecord, jsonable
from scoregate.findings import Status

VERSION = 4
"""Stored with the catalog; it changes with every change of the statements below or of a dialect."""

STATEMENTS = (
    """CREATE TABLE pieces (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    text_sha256 TEXT NOT NULL,
    status TEXT NOT NULL,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    style TEXT NOT NULL,
    run_id TEXT NOT NULL,
    round INTEGER,
    seed INTEGER,
    key TEXT NOT NULL,
    metre TEXT NOT NULL,
    bars INTEGER,
    voices INTEGER,
    tempo REAL,
    model TEXT NOT NULL,
    weights TEXT NOT NULL,
    weights_sha256 TEXT NOT NULL,
    temperature REAL,
    top_k INTEGER,
    top_p REAL,
    resampled_lines INTEGER,
    warnings INTEGER NOT NULL,
    created_utc TEXT NOT NULL,
    folder TEXT NOT NULL
)""",
    "CREATE INDEX pieces_by_time ON pieces (created_utc, number)",
    "CREATE INDEX pieces_by_status ON pieces (status, created_utc, number)",
    "CREATE INDEX pieces_by_style ON pieces (style, status, created_utc, number)",
    "CREATE INDEX pieces_by_run ON pieces (run_id, status, created_utc, number)",
    "CREATE INDEX pieces_by_text ON pieces (text_sha256)",
    # Orders and filters of the dashboard's table; without them it sorts every row.
    "CREATE INDEX pieces_by_name ON pieces (name, number)",
    "CREATE INDEX pieces_by_warnings ON pieces (warnings, number)",
    "CREATE INDEX pieces_by_weights ON pieces (weights, status, number)",
    """CREATE TABLE findings (
    piece INTEGER NOT NULL,
    position INTEGER NOT NULL,
    gate TEXT NOT NULL,
    code TEXT NOT NULL,
    severity TEXT NOT NULL,
    voice TEXT,
    bar INTEGER,
    line INTEGER,
    "column" INTEGER,
    message TEXT NOT NULL,
    PRIMARY KEY (piece, position)
) WITHOUT ROWID""",
    "CREATE INDEX findings_by_code ON findings (severity, code, piece)",
    """CREATE TABLE measures (
    piece INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (piece, name)
) WITHOUT ROWID""",
    # By piece and not by value: new entries then go to the end of each name's range. Entries by
    # value would change thousands of pages with every batch, and a range of values is found quickly
    # enough by reading the 100,000 entries of one name.
    "CREATE INDEX measures_by_name ON measures (name, piece, value)",
    """CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    started_utc TEXT NOT NULL,
    finished_utc TEXT,
    style TEXT NOT NULL,
    status TEXT NOT NULL,
    requested INTEGER,
    passed INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    not_judged INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    seconds REAL,
    record TEXT NOT NULL
)""",
    """CREATE TABLE verdicts (
    judgement TEXT NOT NULL,
    entry TEXT NOT NULL,
    status TEXT NOT NULL,
    before TEXT NOT NULL,
    judged_utc TEXT NOT NULL,
    gates TEXT NOT NULL,
    thresholds TEXT NOT NULL,
    reasons TEXT NOT NULL,
    PRIMARY KEY (entry, judgement)
) WITHOUT ROWID""",
    "CREATE INDEX verdicts_by_judgement ON verdicts (judgement, status)",
    "CREATE INDEX runs_by_time ON runs (started_utc)",
)
"""In SQLite's words, which each dialect translates."""

_TEMPO = re.compile(r"(\d{1,4})\s*/\s*(\d{1,4})\s*=\s*(\d{1,4}(?:\.\d{1,4})?)")
_BARE_TEMPO = re.compile(r"\s*(\d{1,4}(?:\.\d{1,4})?)\s*")


def entry_id(report: PieceReport) -> str:
    """Return the ``id`` under which the catalog holds a report's piece."""
    if report.status == Status.PASSED:
        return report.piece_id
    return f"{report.piece_id}.{report.run_id}"


def create(connection: Connection) -> None:
    """Create the tables of this version, all empty; none of them may be there.

    Call it inside a transaction, so that other processes see the old tables or the new.
    """
    dialect = connection.dialect
    for statement in STATEMENTS:
        connection.execute(dialect.created(statement))
    for statement in dialect.tables:
        connection.execute(statement)


def insert_pieces(connection: Connection, pieces: Sequence[tuple[PieceReport, Path]]) -> None:
    """Insert the rows of pieces; what the catalog holds of the same entries is replaced.

    Parameters
    ----------
    connection : Connection
        Inside a transaction of the catalog, which no other writer shares.
    pieces : sequence of (PieceReport, Path)
        Each report as it was stored, with its ``piece_id``, and the piece's folder, relative to
        the folder that holds ``archive/``.
    """
    # Of an entry that comes twice, the last counts.
    rows = {(row := piece_row(*piece))["id"]: (row, piece[0]) for piece in pieces}
    delete_pieces(connection, list(rows))
    last = connection.execute("SELECT coalesce(max(number), 0) FROM pieces").fetchone()[0]
    numbered = [(number, *both) for number, both in enumerate(rows.values(), last + 1)]
    if not numbered:
        return
    dialect = connection.dialect
    connection.insert("pieces", [(number, *row.values()) for number, row, _ in numbered])
    searched = [
        dialect.search_row(number, row["name"], row["title"], row["style"])
        for number, row, _ in numbered
    ]
    connection.insert(dialect.search_table, searched)
    findings = [
        (number, position, one.gate, one.code or one.gate, str(one.severity), one.voice,
         one.bar, one.line, one.column, one.message)
        for number, _, report in numbered
        for position, one in enumerate(report.findings)
    ]  # fmt: skip
    connection.insert("findings", findings)
    measures = [
        (number, name, value)
        for number, _, report in numbered
        for name, value in report.measures.items()
    ]
    connection.insert("measures", measures)


def delete_pieces(connection: Connection, identifiers: Sequence[str]) -> None:
    """Delete the rows of entries, of those that are there."""
    marks = ", ".join("?" * len(identifiers)) or "NULL"
    query = f"SELECT number FROM pieces WHERE id IN ({marks})"
    numbers = [row[0] for row in connection.execute(query, identifiers)]
    for table, column in (
        ("pieces", "number"),
        ("findings", "piece"),
        ("measures", "piece"),
        ("piece_search", connection.dialect.search_key),
    ):
        for number in numbers:
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))


def insert_verdicts(connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows of ``verdicts``, or replace them; each has all columns in their order."""
    for judgement, entry, *_ in rows:
        connection.execute(
            "DELETE FROM verdicts WHERE judgement = ? AND entry = ?", (judgement, entry)
        )
    connection.insert("verdicts", rows)


def insert_run(connection: Connection, run: RunRecord) -> None:
    """Insert the row of a run, or replace it."""
    record = jsonable(run.model_dump(exclude={"pieces", "files", "seal"}))
    counts = [run.count(status) for status in Status]
    requested, style = run.request.get("count"), run.request.get("style")
    connection.execute("DELETE FROM runs WHERE id = ?", (run.run_id,))
    row = (
        run.run_id,
        run.started,
        run.finished,
        style if isinstance(style, str) else "",
        "finished" if run.finished else "unfinished",
        _integer(requested),
        *counts,
        run.missing,
        run.seconds,
        json.dumps(record, ensure_ascii=False),
    )
    connection.insert("runs", [row])


def piece_row(report: PieceReport, folder: Path) -> dict[str, Any]:
    """Return the row of ``pieces`` for a report, without ``number``, in the order of the table."""
    origin, summary = report.provenance, report.summary
    weights = origin.get("weights")
    weights = weights if isinstance(weights, dict) else {"name": weights}
    return {
        "id": entry_id(report),
        "text_sha256": report.piece_id,
        "status": str(report.status),
        "name": report.name or name_of_summary(report.style, summary),
        "title": report.title,
        "style": report.style or "",
        "run_id": report.run_id,
        "round": _integer(report.round),
        "seed": _integer(origin.get("seed")),
        "key": _text(summary.get("key")),
        "metre": _text(summary.get("metre")),
        "bars": _integer(summary.get("bars")),
        "voices": _integer(summary.get("voices")),
        "tempo": quarters_a_minute(summary.get("tempo")),
        "model": _text(origin.get("generator") or origin.get("model")),
        "weights": _text(weights.get("name")),
        "weights_sha256": _text(weights.get("sha256")),
        "temperature": _number(origin.get("temperature")),
        "top_k": _integer(origin.get("top_k")),
        "top_p": _number(origin.get("top_p")),
        # Reports up to 0.1 call them redrawn lines.
        "resampled_lines": _integer(origin.get("resampled_lines", origin.get("redrawn_lines"))),
        "warnings": sum(finding.severity == "warning" for finding in report.findings),
        "created_utc": report.created,
        "folder": folder.as_posix(),
    }


def quarters_a_minute(tempo: object) -> float | None:
    """Return a tempo as ABC writes it in quarter notes a minute; None where it is none.

    Examples
    --------
    >>> quarters_a_minute("3/8=60"), quarters_a_minute("120"), quarters_a_minute('"Allegro"')
    (90.0, 120.0, None)
    """
    if not isinstance(tempo, str):
        return _number(tempo)
    if match := _TEMPO.search(tempo):
        return 4 * int(match[1]) * float(match[3]) / int(match[2]) if int(match[2]) else None
    bare = _BARE_TEMPO.fullmatch(tempo)
    return float(bare[1]) if bare else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: object) -> int | None:
    # The databases' integers have 64 bits; a larger seed is in the report only.
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        return None
    return value
