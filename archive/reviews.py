"""What reviewers said: an append-only file of events beside the archive.

``reviews.sqlite`` holds one row for each action of a reviewer: a rating, a tag, a note, a
decision, the result of an A/B comparison, or an undo. Rows are never changed or deleted;
triggers refuse it. An undo is a row that names the row it takes back. Beside the events
stand two tables that are computed from them in the same transaction, so that pieces can be
filtered and sorted by rating; :meth:`Reviews.rebuild` computes them again.

The file is no part of the catalog, which is a cache that may be deleted at any time.
SQLite's journal makes an event durable before the reviewer sees it confirmed, and
``BEGIN IMMEDIATE`` puts two reviewers in order.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scoregate.archive.wal import use_wal
from scoregate.errors import ArchiveError, RequestError

FILE = "reviews.sqlite"
VERSION = 1
WAIT_S = 15.0
"""Seconds for which a locked file is waited for."""
OUTCOMES = ("a", "b", "tie", "both bad", "skip")
DECISIONS = ("keep", "discard")
MAX_NOTE = 4_000
MAX_TAG = 60
MAX_REVIEWER = 60

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    kind TEXT NOT NULL,
    piece TEXT NOT NULL,
    other TEXT NOT NULL DEFAULT '',
    value TEXT NOT NULL DEFAULT '',
    undoes INTEGER
);
CREATE INDEX IF NOT EXISTS events_piece ON events (piece);
CREATE INDEX IF NOT EXISTS events_reviewer ON events (reviewer, id);
CREATE INDEX IF NOT EXISTS events_undoes ON events (undoes);
CREATE INDEX IF NOT EXISTS events_kind ON events (kind);
CREATE TRIGGER IF NOT EXISTS events_fixed BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'reviews are never changed'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'reviews are never deleted'); END;
CREATE TABLE IF NOT EXISTS opinions (
    piece TEXT NOT NULL, reviewer TEXT NOT NULL, rating INTEGER, decision TEXT NOT NULL,
    note TEXT NOT NULL, tags TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (piece, reviewer)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS opinions_reviewer ON opinions (reviewer, rating);
CREATE TABLE IF NOT EXISTS reviewed (
    piece TEXT PRIMARY KEY, rating REAL, ratings INTEGER NOT NULL, kept INTEGER NOT NULL,
    discarded INTEGER NOT NULL, tags TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reviewed_rating ON reviewed (rating);
PRAGMA user_version = {VERSION};
"""


@dataclass(slots=True)
class Opinion:
    """What one reviewer holds of one piece, after all that was undone.

    Attributes
    ----------
    piece, reviewer : str
    rating : int or None
        From 1 (bad) to 5 (good).
    decision : str
        ``keep``, ``discard`` or ``""``.
    note : str
    tags : list of str
    at : str
        UTC time of the last event, ISO 8601.
    """

    piece: str
    reviewer: str
    rating: int | None = None
    decision: str = ""
    note: str = ""
    tags: list[str] = field(default_factory=list)
    at: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of it."""
        return self.rating is None and not (self.decision or self.note or self.tags)

    def as_dict(self) -> dict[str, Any]:
        """Return the opinion as a JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of one blind comparison of two pieces of one prompt."""

    first: str
    second: str
    outcome: str
    prompt: str
    seed: int
    reviewer: str
    at: str


class Reviews:
    """The reviews beside one archive.

    Parameters
    ----------
    folder : Path
        The archive's folder; ``reviews.sqlite`` is made in it with the first review.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    # Writing

    def rate(self, reviewer: str, piece: str, rating: int) -> int:
        """Note a rating from 1 to 5; return the event's number."""
        if rating not in range(1, 6):
            raise RequestError(f"{rating} is no rating.", "Ratings go from 1 to 5.")
        return self._append(reviewer, "rating", piece, value=str(rating))

    def decide(self, reviewer: str, piece: str, decision: str) -> int:
        """Note whether a piece is kept or discarded; ``""`` takes the decision back."""
        if decision not in (*DECISIONS, ""):
            raise RequestError(f"{decision!r} is no decision.", "It is keep or discard.")
        return self._append(reviewer, "decision", piece, value=decision)

    def tag(self, reviewer: str, piece: str, tag: str, *, remove: bool = False) -> int:
        """Add a tag, or remove it."""
        tag = " ".join(tag.split())
        if not tag or len(tag) > MAX_TAG:
            raise RequestError(
                "This tag can't be kept.", f"A tag has from 1 to {MAX_TAG} characters."
            )
        return self._append(reviewer, "untag" if remove else "tag", piece, value=tag)

    def note(self, reviewer: str, piece: str, text: str) -> int:
        """Note a text; it takes the place of the reviewer's earlier one."""
        text = text.replace("\r\n", "\n").strip()
        if len(text) > MAX_NOTE:
            raise RequestError("The note is too long.", f"It may have {MAX_NOTE} characters.")
        return self._append(reviewer, "note", piece, value=text)

    def compare(
        self, reviewer: str, first: str, second: str, outcome: str, *, prompt: str, seed: int
    ) -> int:
        """Note the result of a blind comparison.

        Parameters
        ----------
        reviewer : str
        first, second : str
            Ids of the pieces shown as A and as B.
        outcome : str
            One of ``OUTCOMES``.
        prompt : str
            The style both were written for.
        seed : int
            That drew the sides.
        """
        if outcome not in OUTCOMES or first == second:
            raise RequestError("This is no result of a comparison.", ", ".join(OUTCOMES) + ".")
        value = json.dumps({"outcome": outcome, "prompt": prompt, "seed": seed})
        return self._append(reviewer, "comparison", first, other=second, value=value)

    def undo(self, reviewer: str) -> tuple[str, str] | None:
        """Take back the reviewer's last event that stands.

        Returns
        -------
        tuple of str or None
            The kind of event and the piece; None when there is nothing to undo.
        """
        with self._writing() as db:
            row = db.execute(
                "SELECT id, kind, piece FROM events e WHERE reviewer = ? AND kind != 'undo' "
                "AND NOT EXISTS (SELECT 1 FROM events u WHERE u.undoes = e.id) "
                "ORDER BY id DESC LIMIT 1",
                (_reviewer(reviewer),),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "INSERT INTO events (at, reviewer, kind, piece, undoes) VALUES (?,?,?,?,?)",
                (_now(), _reviewer(reviewer), "undo", row["piece"], row["id"]),
            )
            self._settle(db, row["piece"], _reviewer(reviewer))
            return row["kind"], row["piece"]

    def rebuild(self) -> int:
        """Compute opinions and means anew from the events; return how many opinions."""
        with self._writing() as db:
            db.execute("DELETE FROM opinions")
            db.execute("DELETE FROM reviewed")
            pairs = db.execute("SELECT DISTINCT piece, reviewer FROM events").fetchall()
            for piece, reviewer in pairs:
                self._settle(db, piece, reviewer)
            return db.execute("SELECT count(*) FROM opinions").fetchone()[0]

    # Reading

    def opinion(self, reviewer: str, piece: str) -> Opinion:
        """Return what a reviewer holds of a piece; an empty opinion where that is nothing."""
        found = [one for one in self.opinions(piece) if one.reviewer == reviewer]
        return found[0] if found else Opinion(piece, reviewer)

    def opinions(self, piece: str | None = None) -> list[Opinion]:
        """Return all opinions, or those of one piece, by piece and reviewer."""
        where, values = ("WHERE piece = ?", (piece,)) if piece else ("", ())
        with self.reading() as db:
            rows = db.execute(
                f"SELECT * FROM opinions {where} ORDER BY piece, reviewer", values
            ).fetchall()
        return [Opinion(**{**dict(row), "tags": json.loads(row["tags"])}) for row in rows]

    def comparisons(self) -> list[Comparison]:
        """Return all comparisons that stand, oldest first."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT * FROM events e WHERE kind = 'comparison' "
                "AND NOT EXISTS (SELECT 1 FROM events u WHERE u.undoes = e.id) ORDER BY id"
            ).fetchall()
        return [
            Comparison(
                first=row["piece"],
                second=row["other"],
                reviewer=row["reviewer"],
                at=row["at"],
                **json.loads(row["value"]),
            )
            for row in rows
        ]

    def tags(self) -> list[str]:
        """Return every tag in use, the most frequent first."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT value FROM opinions, json_each(opinions.tags) "
                "GROUP BY value ORDER BY count(*) DESC, value LIMIT 100"
            ).fetchall()
        return [row[0] for row in rows]

    def count(self, reviewer: str | None = None) -> int:
        """Return how many ratings stand, of one reviewer or of all."""
        where, values = ("AND reviewer = ?", (reviewer,)) if reviewer else ("", ())
        with self.reading() as db:
            query = f"SELECT count(*) FROM opinions WHERE rating IS NOT NULL {where}"
            return db.execute(query, values).fetchone()[0]

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every event as it was written, oldest first."""
        with self.reading() as db:
            for row in db.execute("SELECT * FROM events ORDER BY id"):
                yield dict(row)

    def last_event(self) -> int:
        """Return the number of the newest event; 0 where there is none."""
        with self.reading() as db:
            return db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]

    def tables(self, names: Iterable[str]) -> tuple[int, dict[str, list[tuple[Any, ...]]]]:
        """Return the newest event's number and all rows of tables, as of one moment."""
        with self.reading() as db:
            db.execute("BEGIN")
            last = db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
            return last, {
                name: [tuple(row) for row in db.execute(f"SELECT * FROM {name}")] for name in names
            }

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open the reviews for reading; where there is no file yet, an empty one in memory."""
        if self.path.is_file():
            db = self._opened()
        else:
            db = sqlite3.connect(":memory:")
            db.executescript(_SCHEMA)
        db.row_factory = sqlite3.Row
        try:
            yield db
        except sqlite3.DatabaseError as error:
            raise self._fault(error) from error
        finally:
            db.close()

    def make(self) -> None:
        """Make the file where it is missing, so that others can attach it."""
        if not self.path.is_file():
            self._opened().close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        db = self._opened()
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self._fault(error) from error
        finally:
            db.close()  # An open transaction is rolled back.

    def _opened(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
            db.row_factory = sqlite3.Row
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise ArchiveError(
                    f"{self.path} was written by a newer Scoregate.", "Update Scoregate."
                )
            if version < VERSION:
                use_wal(db, WAIT_S)
                db.executescript(_SCHEMA)
            db.execute("PRAGMA synchronous = FULL")
        except (sqlite3.Error, OSError) as error:
            raise self._fault(error) from error
        return db

    def _fault(self, error: Exception) -> ArchiveError:
        return ArchiveError(
            f"The reviews in {self.path} can't be read or written: {error}.",
            "Check the disk and the file's permissions, or put a backup in its place; "
            "the dashboard never replaces this file by itself.",
        )

    def _append(
        self, reviewer: str, kind: str, piece: str, *, other: str = "", value: str = ""
    ) -> int:
        name = _reviewer(reviewer)
        with self._writing() as db:
            number = db.execute(
                "INSERT INTO events (at, reviewer, kind, piece, other, value) VALUES (?,?,?,?,?,?)",
                (_now(), name, kind, piece, other, _storable(value)),
            ).lastrowid
            self._settle(db, piece, name)
        return int(number or 0)

    def _settle(self, db: sqlite3.Connection, piece: str, reviewer: str) -> None:
        """Compute one opinion and the piece's means from the events."""
        rows = db.execute(
            "SELECT kind, value, at FROM events e WHERE piece = ? AND reviewer = ? "
            "AND kind NOT IN ('undo', 'comparison') "
            "AND NOT EXISTS (SELECT 1 FROM events u WHERE u.undoes = e.id) ORDER BY id",
            (piece, reviewer),
        ).fetchall()
        opinion = _replayed(piece, reviewer, rows)
        db.execute("DELETE FROM opinions WHERE piece = ? AND reviewer = ?", (piece, reviewer))
        if not opinion.is_empty:
            db.execute(
                "INSERT INTO opinions VALUES (?,?,?,?,?,?,?)",
                (
                    piece,
                    reviewer,
                    opinion.rating,
                    opinion.decision,
                    opinion.note,
                    json.dumps(opinion.tags),
                    opinion.at,
                ),
            )
        db.execute("DELETE FROM reviewed WHERE piece = ?", (piece,))
        db.execute(
            "INSERT INTO reviewed SELECT piece, avg(rating), count(rating), "
            "sum(decision = 'keep'), sum(decision = 'discard'), group_concat(tags, ' ') "
            "FROM opinions WHERE piece = ? GROUP BY piece",
            (piece,),
        )


def _replayed(piece: str, reviewer: str, rows: Iterable[sqlite3.Row]) -> Opinion:
    opinion = Opinion(piece, reviewer)
    for kind, value, at in rows:
        opinion.at = at
        if kind == "rating":
            opinion.rating = int(value)
        elif kind == "decision":
            opinion.decision = value
        elif kind == "note":
            opinion.note = value
        elif kind == "tag" and value not in opinion.tags:
            opinion.tags.append(value)
        elif kind == "untag" and value in opinion.tags:
            opinion.tags.remove(value)
    return opinion


def _reviewer(name: str) -> str:
    return _storable(" ".join(name.split()))[:MAX_REVIEWER] or "somebody"


def _storable(text: str) -> str:
    """Return text without lone surrogates and NULs, which SQLite's text can't hold safely."""
    return text.replace("\0", " ").encode("utf-8", "backslashreplace").decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
