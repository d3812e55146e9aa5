"""Logs as lines of JSON, for programs that collect logs: ``SCOREGATE_LOG=json``.

A line holds ``time``, ``level``, ``logger`` and ``message``, and where they are known
``flow_run_id``, ``flow_run``, ``task_run``, ``run_id`` and ``piece_id``: the first three are
Prefect's, the last two the archive's.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import IO, Any

VARIABLE = "SCOREGATE_LOG"
"""Environment variable; ``json`` asks for lines of JSON."""

_FIELDS = {
    "flow_run_id": "flow_run_id",
    "flow_run_name": "flow_run",
    "task_run_name": "task_run",
    "run_id": "run_id",
    "piece_id": "piece_id",
    "status": "status",
    "round": "round",
    "seed": "seed",
    "reasons": "reasons",
    "alarm": "alarm",
}
_pieces = logging.getLogger("scoregate.pieces")
_bound: dict[str, str] = {}


def json_is_wanted() -> bool:
    """Return whether the environment asks for lines of JSON."""
    return os.environ.get(VARIABLE, "").lower() == "json"


def bind(**values: str) -> None:
    """Add fields to every later line of this process, such as ``run_id``."""
    _bound.update(values)


def log_pieces(run_id: str, pieces: Iterable[Any]) -> None:
    """Write a line for each archived piece where lines of JSON are wanted.

    The lines go to the standard error of the process only. Prefect's database would need 2 kB
    for each.

    Parameters
    ----------
    run_id : str
        The archive's run.
    pieces : iterable of Piece
    """
    if not json_is_wanted():
        return
    for piece in pieces:
        extra = {
            "run_id": run_id,
            "piece_id": piece.id,
            "status": str(piece.status),
            "round": piece.round,
            "seed": piece.seed,
            "reasons": list(piece.reasons),
        }
        _pieces.info("Piece %s: %s", piece.id[:12], piece.status, extra=extra)


class JsonLines(logging.Formatter):
    """One line of JSON for a record; its exception, if any, is the field ``exception``."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()  # Prefect's settings hand over a format, which JSON has no use for

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_bound,
        }
        for attribute, field in _FIELDS.items():
            value = getattr(record, attribute, None)
            if value is not None:
                line[field] = value
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class JsonHandler(logging.StreamHandler):
    """A stream handler that stands in for Prefect's console, whose lines are coloured.

    Parameters
    ----------
    stream : text file, optional
    styles : object
        Prefect's colours, which are not used.
    """

    def __init__(self, stream: IO[str] | None = None, styles: object = None) -> None:
        super().__init__(stream)
        self.setFormatter(JsonLines())
        logging.getLogger("scoregate").setLevel(logging.INFO)
