"""Which pieces a page shows: a filter that is read from the address and written back to it.

The address is the only place where a filter is kept, so that it can be bookmarked, sent to
somebody, and stays while one goes from piece to piece.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode

from scoregate.archive.dialects import Dialect, like_pattern
from scoregate.findings import Status

VERDICTS = {
    "passed": Status.PASSED,
    "rejected": Status.REJECTED,
    "not-judged": Status.NOT_JUDGED,
}
RATINGS = {
    "none": "not rated by anybody",
    "mine": "rated by me",
    "open": "not rated by me",
    "1": "1 or more",
    "2": "2 or more",
    "3": "3 or more",
    "4": "4 or more",
    "5": "5",
    "low": "2 or less",
}
SORTS = {
    "newest": ("p.created_utc", "DESC"),
    "oldest": ("p.created_utc", "ASC"),
    "name": ("p.name", "ASC"),
    "style": ("p.style", "ASC"),
    "bars": ("coalesce(p.bars, 0)", "ASC"),
    "bars-down": ("coalesce(p.bars, 0)", "DESC"),
    "warnings": ("p.warnings", "DESC"),
    "rating": ("r.rating", "DESC"),
    "rating-up": ("r.rating", "ASC"),
}
"""Expression and direction by the name that stands in the address; the orders by rating show
rated pieces only."""

_HEX = re.compile(r"[0-9a-f]{6,64}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class PieceFilter:
    """A filter with its order; every field is text as it stands in the address.

    Attributes
    ----------
    q : str
        Searched in name, title and style; six or more hexadecimal digits also find an id.
    style, run, weights, temperature : str
        Equal to the column of that name.
    verdict : str
        A key of ``VERDICTS``.
    finding : str
        Code of a finding of any severity.
    measure, low, high : str
        Name of a measure and the range of its value; either end may be empty.
    rating : str
        A key of ``RATINGS``.
    decision : str
        ``keep`` or ``discard``, by anybody.
    tag : str
        Given by anybody.
    since, until : str
        Days in UTC, both included.
    sort : str
        A key of ``SORTS``.
    """

    q: str = ""
    style: str = ""
    run: str = ""
    verdict: str = ""
    finding: str = ""
    measure: str = ""
    low: str = ""
    high: str = ""
    rating: str = ""
    decision: str = ""
    tag: str = ""
    weights: str = ""
    temperature: str = ""
    since: str = ""
    until: str = ""
    sort: str = "newest"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> PieceFilter:
        """Read the filter from the fields of an address or form; what is unusable is empty."""
        given = {
            one.name: query[one.name].replace("\0", "").strip()[:200]
            for one in fields(cls)
            if one.name in query
        }
        found = cls(**given)
        return replace(
            found,
            verdict=found.verdict if found.verdict in VERDICTS else "",
            rating=found.rating if found.rating in RATINGS else "",
            decision=found.decision if found.decision in ("keep", "discard") else "",
            sort=found.sort if found.sort in SORTS else "newest",
            low=found.low if _number(found.low) is not None else "",
            high=found.high if _number(found.high) is not None else "",
            temperature=found.temperature if _number(found.temperature) is not None else "",
            since=found.since if _DAY.fullmatch(found.since) else "",
            until=found.until if _DAY.fullmatch(found.until) else "",
        )

    @property
    def address(self) -> str:
        """The fields that are set, as the query of an address without its question mark."""
        return urlencode(
            [
                (one.name, getattr(self, one.name))
                for one in fields(self)
                if getattr(self, one.name) and getattr(self, one.name) != one.default
            ]
        )

    @property
    def narrows(self) -> bool:
        """Whether it leaves out any piece."""
        return replace(self, sort="newest").address != ""

    def but(self, **changes: str) -> str:
        """Return the address of this filter with some fields changed."""
        return replace(self, **changes).address

    def order(self) -> tuple[str, str]:
        """Return the expression that is sorted by and its direction."""
        return SORTS[self.sort]

    def where(
        self, dialect: Dialect, reviewer: str, *, many: bool = False
    ) -> tuple[str, list[object]]:
        """Return the condition in SQL over ``pieces p LEFT JOIN reviewed r``, and its values.

        Parameters
        ----------
        dialect : Dialect
            Of the catalog that is asked.
        reviewer : str
            Who "me" is.
        many : bool
            Whether a good part of all pieces is let through. The condition is then written
            such that SQLite walks the pieces in their order and tests each, until a page
            is full; otherwise it looks up the few that match and sorts them.
        """
        walk = dialect.unindexed if many else ""
        clauses: list[str] = []
        values: list[object] = []

        def add(clause: str, *given: object) -> None:
            clauses.append(clause)
            values.extend(given)

        for column in ("style", "weights"):
            if getattr(self, column):
                add(f"{walk}p.{column} = ?", getattr(self, column))
        if self.run:
            add(f"{walk}p.run_id = ?", self.run)
        if self.verdict:
            add(f"{walk}p.status = ?", str(VERDICTS[self.verdict]))
        if self.temperature:
            add("p.temperature = ?", _number(self.temperature))
        if self.since:
            add("p.created_utc >= ?", self.since)
        if self.until:
            # Any time of that day sorts before the tilde.
            add("p.created_utc <= ?", self.until + "~")
        if self.finding:
            severities = "('critical', 'warning', 'info')"
            add(
                f"EXISTS (SELECT 1 FROM findings f WHERE f.piece = p.number AND {walk}f.code = ?)"
                if many
                else f"p.number IN (SELECT piece FROM findings WHERE severity IN {severities} "
                "AND code = ?)",
                self.finding,
            )
        self._add_measure(add, walk, many)
        self._add_review(add, dialect, reviewer)
        self._add_search(add, dialect, many)
        return " AND ".join(clauses) or "TRUE", values

    def _add_measure(self, add, walk: str, many: bool) -> None:
        if not self.measure or not (self.low or self.high):
            return
        low, high = _number(self.low), _number(self.high)
        add(
            "EXISTS (SELECT 1 FROM measures m WHERE m.piece = p.number AND m.name = ? "
            f"AND {walk}m.value BETWEEN ? AND ?)"
            if many
            else "p.number IN (SELECT piece FROM measures WHERE name = ? "
            "AND value BETWEEN ? AND ?)",
            self.measure,
            -math.inf if low is None else low,
            math.inf if high is None else high,
        )

    def _add_review(self, add, dialect: Dialect, reviewer: str) -> None:
        if self.sort.startswith("rating"):
            add("r.rating IS NOT NULL")
        own = (
            "EXISTS (SELECT 1 FROM opinions o WHERE o.piece = p.text_sha256 "
            "AND o.reviewer = ? AND o.rating IS NOT NULL)"
        )
        if self.rating == "none":
            add("coalesce(r.ratings, 0) = 0")
        elif self.rating == "mine":
            add(own, reviewer)
        elif self.rating == "open":
            add(f"NOT {own}", reviewer)
        elif self.rating == "low":
            add("r.rating <= 2")
        elif self.rating:
            add("r.rating >= ?", int(self.rating))
        if self.decision == "keep":
            add("r.kept > 0")
        elif self.decision == "discard":
            add("r.discarded > 0")
        if self.tag:
            add(
                "p.text_sha256 IN (SELECT o.piece FROM opinions o WHERE "
                f"{dialect.json_list_holds('o.tags')})",
                self.tag,
            )

    def _add_search(self, add, dialect: Dialect, many: bool) -> None:
        if not self.q:
            return
        if _HEX.fullmatch(self.q.lower()):
            add("p.id >= ? AND p.id < ?", self.q.lower(), self.q.lower() + "g")
        elif len(self.q) >= 3:
            words = [word for word in self.q.split() if len(word) >= 3] or [self.q]
            if many:
                # The index finds what contains a word in any case, as LIKE does.
                for word in words:
                    columns = " OR ".join(
                        dialect.like(f"p.{name}") for name in ("name", "title", "style")
                    )
                    add(f"({columns})", *[like_pattern(word)] * 3)
                return
            source, given = dialect.search(words)
            add(f"p.number IN ({source})", *given)
        elif many:
            add(dialect.like("p.name"), like_pattern(self.q))
        else:
            # Read from the index of names, which holds nothing else.
            add(
                f"p.number IN (SELECT n.number FROM pieces n WHERE {dialect.like('n.name')})",
                like_pattern(self.q),
            )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
