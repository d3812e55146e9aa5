"""Reviews as training data and as tables.

===================  ====================================================================
``pairs.jsonl``      TRL preference data: ``{"prompt", "chosen", "rejected"}``, one object
                     for each pair of pieces that a blind comparison decided
``rated-pairs.jsonl``  the same form from ratings: two pieces of one prompt whose mean
                     ratings are at least two apart
``kto.jsonl``        TRL unpaired data: ``{"prompt", "completion", "label"}``; true from a
                     mean rating of 4 or a decision to keep, false up to 2 or to discard
``notagen.zip``      NotaGen's lists for RL, one JSON file a style: ``{"chosen": [paths],
                     "rejected": [paths]}``; its trainer takes every combination
``reviews.csv``, ``reviews.parquet``  a row for each piece and reviewer
``events.jsonl``     every event as it was stored
===================  ====================================================================

Prompts and completions are cut from the text as the model wrote it (``raw.abc``), so that
what is trained on is what was sampled.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from scoregate.dashboard.app.library import Library

COLUMNS = (
    "piece", "name", "style", "status", "run_id", "weights", "temperature", "reviewer", "rating",
    "decision", "tags", "note", "at",
)  # fmt: skip
GOOD, BAD, APART = 4.0, 2.0, 2.0
MOST_PAIRS = 50_000


def pairs(library: Library) -> Iterator[dict[str, str]]:
    """Yield preference pairs from blind comparisons; of several on one pair the majority."""
    votes: dict[tuple[str, str], int] = defaultdict(int)
    for one in library.reviews.comparisons():
        if one.outcome in ("a", "b"):
            first, second = sorted((one.first, one.second))
            better = one.first if one.outcome == "a" else one.second
            votes[first, second] += 1 if better == first else -1
    for (first, second), balance in votes.items():
        if balance:
            better, worse = (first, second) if balance > 0 else (second, first)
            yield from _pair(library, better, worse)


def rated_pairs(library: Library) -> Iterator[dict[str, str]]:
    """Yield preference pairs from ratings: pieces of one style, two or more points apart."""
    rated: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in _reviewed(library):
        if row["rating"] is not None:
            rated[row["style"]].append((row["rating"], row["text_sha256"]))
    made = 0
    for of_style in rated.values():
        ordered = sorted(of_style, reverse=True)
        for good, better in ordered:
            for bad, worse in reversed(ordered):
                if good - bad < APART or made >= MOST_PAIRS:
                    break
                for pair in _pair(library, better, worse):
                    made += 1
                    yield pair


def kto(library: Library) -> Iterator[dict[str, Any]]:
    """Yield unpaired data; pieces with mixed or middling reviews are left out."""
    for row in _reviewed(library):
        good = (row["rating"] or 0) >= GOOD or row["kept"] > 0
        bad = (row["rating"] is not None and row["rating"] <= BAD) or row["discarded"] > 0
        if good == bad:
            continue
        cut = _cut(library, row)
        if cut:
            yield {"prompt": cut[0], "completion": cut[1], "label": good}


def notagen(library: Library) -> dict[str, dict[str, list[str]]]:
    """Return NotaGen's lists by style: paths of the raw texts of good and of bad pieces."""
    lists: dict[str, dict[str, list[str]]] = {}
    for row in _reviewed(library):
        good = (row["rating"] or 0) >= GOOD or row["kept"] > 0
        bad = (row["rating"] is not None and row["rating"] <= BAD) or row["discarded"] > 0
        path = library.folder(row) / "raw.abc"
        if good == bad or not path.is_file():
            continue
        own = lists.setdefault(row["style"] or "unknown", {"chosen": [], "rejected": []})
        own["chosen" if good else "rejected"].append(str(path.resolve()))
    return lists


def notagen_zip(library: Library) -> bytes:
    """Return NotaGen's lists as a ZIP with one JSON file a style."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for style, lists in sorted(notagen(library).items()):
            archive.writestr(f"{file_stem(style)}.json", json.dumps(lists, indent=1))
    return made.getvalue()


def table(library: Library) -> list[dict[str, Any]]:
    """Return a row for each piece and reviewer, with ``COLUMNS``."""
    opinions = library.reviews.opinions()
    pieces = {
        row["text_sha256"]: row for row in library.rows(sorted({one.piece for one in opinions}))
    }
    rows = []
    for one in opinions:
        piece = pieces.get(one.piece, {})
        rows.append(
            {
                "piece": one.piece,
                **{name: piece.get(name) for name in COLUMNS[1:7]},
                "reviewer": one.reviewer,
                "rating": one.rating,
                "decision": one.decision,
                "tags": ", ".join(one.tags),
                "note": one.note,
                "at": one.at,
            }
        )
    return rows


def table_csv(library: Library) -> str:
    """Return the table as CSV; cells that a spreadsheet would run as a formula are quoted."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(COLUMNS)
    for row in table(library):
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return made.getvalue()


def table_parquet(library: Library) -> bytes:
    """Return the table as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    kinds = {"temperature": pa.float64(), "rating": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, text)) for name in COLUMNS])
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(table(library), schema=schema), made)
    return made.getvalue()


def lines(objects: Iterator[dict[str, Any]]) -> str:
    """Return objects as JSON Lines."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)


def file_stem(style: str) -> str:
    """Return a style as part of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", style).strip("-").lower()[:80] or "style"


def prompt_and_completion(raw: str, style: str) -> tuple[str, str]:
    """Cut a raw text into the prompt lines that begin it and what the model wrote.

    Parameters
    ----------
    raw : str
        Prompt lines begin with one percent sign; ``%end`` is the last of them.
    style : str
        Gives the prompt where the text has none.
    """
    rest = raw.splitlines(keepends=True)
    count = 0
    while count < len(rest) and rest[count].startswith("%") and not rest[count].startswith("%%"):
        count += 1
    if not count:
        return "".join(f"%{part}\n" for part in style.split("/")), raw
    return "".join(rest[:count]), "".join(rest[count:])


def _pair(library: Library, better: str, worse: str) -> Iterator[dict[str, str]]:
    found = library.rows([better, worse])
    if len(found) != 2:
        return
    chosen, rejected = (_cut(library, row) for row in found)
    if chosen and rejected and chosen[0] == rejected[0]:
        yield {"prompt": chosen[0], "chosen": chosen[1], "rejected": rejected[1]}


def _cut(library: Library, row: dict[str, Any]) -> tuple[str, str] | None:
    folder = library.folder(row)
    for name in ("raw.abc", "score.abc"):
        try:
            text = (folder / name).read_text("utf-8", "backslashreplace")
        except OSError:
            continue
        return prompt_and_completion(text, row["style"])
    return None


def _reviewed(library: Library) -> list[dict[str, Any]]:
    with library.opened() as db:
        rows = db.execute(
            # A text that several runs rejected is there several times.
            "SELECT p.*, r.rating, r.kept, r.discarded FROM reviewed r JOIN pieces p ON p.number = "
            "(SELECT min(number) FROM pieces WHERE text_sha256 = r.piece) ORDER BY p.number"
        ).fetchall()
    return [dict(row) for row in rows]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
