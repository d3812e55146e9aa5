"""Sets of pieces by name: folders and files, runs and filters of the archive, corpora, sweeps.

``corpus:bach-chorales``, ``corpus:mozart``, ``run:ID``, ``tag:NAME,status:rejected``,
``sweep:FOLDER,temperature:2.0,lines:raw``; anything else is a path, as `scoregate screen` takes it.
"""

from __future__ import annotations

import difflib
import gzip
import importlib.util
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoregate.archive import catalog, query
from scoregate.archive.reviews import Reviews
from scoregate.archive.store import Archive
from scoregate.errors import RequestError, UnreadableError
from scoregate.findings import Status
from scoregate.progress import report
from scoregate.sources import ENDINGS, Source, find

CHORALES = "bach-chorales"
"""The chorales of music21's Bach, reduced to four singers as `scoregate train` does."""
_OF_ARCHIVE = ("archive", "run", "tag", "style", "weights", "rated", "status")
_OF_SWEEP = ("sweep", "temperature", "top_p", "top_k", "lines", "preset", "style", "weights")
_CUT = re.compile(rf",\s*(?=(?:{'|'.join(sorted({*_OF_ARCHIVE, *_OF_SWEEP}))}):)")
_STATUS = {"passed": Status.PASSED, "rejected": Status.REJECTED, "not-judged": Status.NOT_JUDGED}


@dataclass(frozen=True, slots=True)
class Item:
    """A piece that is still to be read: a source, or a text.

    Attributes
    ----------
    name : str
    source : Source or None
    text : str
        Where there is no source.
    """

    name: str
    source: Source | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """The pieces of a set.

    Attributes
    ----------
    name : str
        As it was asked for.
    items : list of Item
    lost : list of tuple of str
        Name and reason of what could not even be opened.
    found : int
        Pieces that there are, before some were drawn.
    """

    name: str
    items: list[Item]
    lost: list[tuple[str, str]]
    found: int

    def drawn(self, most: int, seed: int) -> Listed:
        """Return the set with at most so many pieces, drawn with a seed."""
        if len(self.items) <= most:
            return self
        chosen = sorted(random.Random(seed).sample(range(len(self.items)), most))
        return Listed(self.name, [self.items[i] for i in chosen], self.lost, self.found)


def list_set(name: str, out: str, folder: Path) -> Listed:
    """Find the pieces of a set.

    Parameters
    ----------
    name : str
        See the module.
    out : str
        Folder of the archive that runs and filters are looked up in.
    folder : Path
        Where a converted corpus is kept for the next time.

    Raises
    ------
    RequestError
        The set is empty or its name can't be understood.
    UnreadableError
        A sweep that is not finished.
    """
    key, _, rest = name.partition(":")
    lost: list[tuple[str, str]] = []
    if Path(name).exists():
        items, lost = _of_path(name)
    elif key == "corpus":
        items, lost = _of_corpus(rest, folder)
    elif key == "sweep":
        items = _of_sweep(_parts(name, _OF_SWEEP))
    elif key in _OF_ARCHIVE:
        items = _of_archive(_parts(name, _OF_ARCHIVE), out)
    else:
        items, lost = _of_path(name)
    if not items:
        why = f" {lost[0][0]}: {lost[0][1]}" if lost else ""
        raise RequestError(
            f"There is no piece in {name}.{why}",
            f"Scores end in {', '.join(ENDINGS)}; or take corpus:bach-chorales, run:ID, tag:NAME.",
        )
    return Listed(name, items, lost, len(items))


def _parts(name: str, known: tuple[str, ...]) -> dict[str, str]:
    parts = {}
    for part in _CUT.split(name):
        key, _, value = part.partition(":")
        if key not in known:
            raise RequestError(
                f"{part[:80]!r} is no part of a set's name.", f"Known are {', '.join(known)}."
            )
        parts[key] = value.strip()
    return parts


def _of_path(path: str) -> tuple[list[Item], list[tuple[str, str]]]:
    items, lost = [], []
    for found in find([path]):
        if isinstance(found, UnreadableError):
            lost.append((path, found.problem))
        else:
            items.append(Item(found.name, found))
    return items, lost


def _of_corpus(name: str, folder: Path) -> tuple[list[Item], list[tuple[str, str]]]:
    if name == CHORALES:
        from scoregate.notagen.training.corpus import bach_chorales

        # Half a minute on a slow machine: the person who waits sees that it goes on.
        corpus = bach_chorales(
            folder / f"{CHORALES}.json",
            on_file=lambda done: report("converting", done, None, f"{done} chorales"),
        )
        return (
            [Item(each, text=text) for each, text in corpus.texts.items()],
            [(loss.name, loss.reason) for loss in corpus.losses],
        )
    spec = importlib.util.find_spec("music21")
    root = Path(spec.origin or "").parent / "corpus" if spec else Path()
    known = sorted(
        path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("_")
    )
    if name not in known:
        near = difflib.get_close_matches(name, [CHORALES, *known], 1)
        raise RequestError(
            f"music21 has no corpus {name[:60]!r}.",
            f"Did you mean corpus:{near[0]}?" if near else f"Known: {', '.join(known)}.",
        )
    return _of_path(str(root / name))


def _of_archive(parts: dict[str, str], out: str) -> list[Item]:
    store = Archive(parts.get("archive") or out)
    status = parts.get("status", "passed")
    if status not in (*_STATUS, "any"):
        raise RequestError(f"{status!r} is no status.", f"Take {', '.join(_STATUS)} or any.")
    wanted = query.Filter(
        status="" if status == "any" else _STATUS[status].value,
        run_id=parts.get("run", ""),
        style=parts.get("style", ""),
        weights=parts.get("weights", ""),
    )
    rows = catalog.answer(store, lambda db: query.rows(db, wanted, sort="oldest"))
    rows = _reviewed(rows, store, parts)
    return [Item(row["name"], Source(str(store.out / row["folder"] / "score.abc"))) for row in rows]


def _reviewed(
    rows: list[dict[str, Any]], store: Archive, parts: dict[str, str]
) -> list[dict[str, Any]]:
    """Return the rows whose pieces have the tag and the rating that are asked for."""
    if not ("tag" in parts or "rated" in parts):
        return rows
    tagged: set[str] = set()
    ratings: dict[str, list[int]] = {}
    for opinion in Reviews(store.out).opinions():
        if parts.get("tag") in opinion.tags:
            tagged.add(opinion.piece)
        if opinion.rating is not None:
            ratings.setdefault(opinion.piece, []).append(opinion.rating)
    if "tag" in parts:
        rows = [row for row in rows if row["text_sha256"] in tagged]
    if "rated" in parts:
        least = _number(parts["rated"], "rated")
        means = {piece: sum(given) / len(given) for piece, given in ratings.items()}
        rows = [row for row in rows if means.get(row["text_sha256"], 0) >= least]
    return rows


def _of_sweep(parts: dict[str, str]) -> list[Item]:
    folder = Path(parts.pop("sweep"))
    path = folder / "results.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = [key for one in content if _matches(one["settings"], parts) for key in one["cells"]]
        texts = []
        for key in found:
            with gzip.open(folder / "cells" / f"{key}.jsonl.gz", "rt", encoding="utf-8") as file:
                texts += [json.loads(line) for line in file]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableError(
            f"{folder} holds no finished sweep with its cells.",
            "Run the command of the sweep again; it measures nothing twice.",
        ) from error
    return [Item(f"{folder}, seed {row['seed']}", text=row["raw"]) for row in texts]


def _matches(settings: dict[str, Any], parts: dict[str, str]) -> bool:
    for name, value in parts.items():
        if name == "lines":
            if ("judged" if settings["judged"] else "raw") != value:
                return False
        elif name in ("temperature", "top_p", "top_k"):
            if settings[name] != _number(value, name):
                return False
        elif value.lower() not in str(settings[name] or "").lower():
            return False
    return True


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestError(f"{name}:{text[:20]} is no number.", "") from None
