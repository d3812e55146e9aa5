"""The corpus: scores found, parsed by music21 into events, and split by tune.

Names stand for collections of music21's own corpus; anything else is a folder of MIDI, MusicXML
or ABC files. Parsing is slow (a tenth of a second a tune), so the events are kept in the
project's folder (``pieces.jsonl``) and read from there the next time.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from scoregate.cores import cores
from scoregate.errors import InputError, UnreadableError
from scoregate.lstm.events import Event, Piece, UnusableError, read_stream

SUFFIXES = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc")
MAX_BYTES = 8 * 2**20
MAX_EVENTS = 20_000
LEAST_PIECES = 10
OPENING = 12
"""Events of a tune's opening that tell tunes apart when the corpus is split."""

COLLECTIONS = {
    "oneill": ("oneills1850", "Folk/O'Neill, Francis/Fiddle"),
    "ryan": ("ryansMammoth", "Folk/Ryan, William Bradbury/Fiddle"),
    "aird": ("airdsAirs", "Folk/Aird, James/Fiddle"),
    "bach-chorales": ("bach", "Baroque/Bach, Johann Sebastian/Keyboard"),
}
"""Collections of music21's corpus: folder and style. ``bach-chorales`` become streams of chords."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A score that could not be used, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Corpus:
    """Pieces with their styles.

    Attributes
    ----------
    pieces : list of (str, Piece)
        Style and piece, in a fixed order.
    losses : list of Loss
    """

    pieces: list[tuple[str, Piece]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    @property
    def styles(self) -> list[str]:
        """Names of the styles, each once."""
        return sorted({style for style, _ in self.pieces})


@dataclass(frozen=True, slots=True)
class Split:
    """A corpus in three parts that share no tune."""

    train: list[tuple[str, Piece]]
    validation: list[tuple[str, Piece]]
    test: list[tuple[str, Piece]]


def collect(
    sources: Iterable[str],
    folder: Path,
    style: str | None = None,
    on_file: Callable[[int, int], None] | None = None,
    most_files: int = 0,
) -> Corpus:
    """Parse scores, or read what an earlier call has parsed.

    Parameters
    ----------
    sources : iterable of str
        Names of :data:`COLLECTIONS`, or folders.
    folder : Path
        The project's folder; ``pieces.jsonl`` in it keeps the events.
    style : str, optional
        Style of the pieces of a folder: ``Period/Composer/Instrumentation``.
    on_file : callable, optional
        Called with the number of files done and of all.
    most_files : int
        Files that are read at most, evenly drawn from all; 0 for all of them.

    Raises
    ------
    InputError
        Fewer than ten pieces, or a vocabulary of a single event.
    UnreadableError
        No such folder.
    """
    names = sorted(sources)
    kept = folder / "pieces.jsonl"
    drawn = {"most_files": most_files} if most_files else {}
    wanted = json.dumps({"sources": names, "style": style} | drawn)
    corpus = _read(kept, wanted)
    if corpus is None:
        files = [entry for name in names for entry in _files(name, style)]
        if 0 < most_files < len(files):
            files = [files[number * len(files) // most_files] for number in range(most_files)]
        corpus = _parse_all(files, on_file)
        _write(kept, wanted, corpus)
    _check(corpus, names)
    return corpus


def split(corpus: Corpus, share: float = 0.06) -> Split:
    """Split by tune: pieces whose openings are the same up to transposition stay together.

    Parameters
    ----------
    corpus : Corpus
    share : float
        Of the validation side, and of the test side.
    """
    parts: dict[str, list[tuple[str, Piece]]] = {"train": [], "validation": [], "test": []}
    for style, piece in corpus.pieces:
        place = int(hashlib.sha256(_tune(piece).encode()).hexdigest()[:8], 16) / 2**32
        side = "test" if place < share else "validation" if place < 2 * share else "train"
        parts[side].append((style, piece))
    for side in ("validation", "test"):
        if not parts[side]:
            parts[side].append(parts["train"].pop())
    return Split(**parts)


def _tune(piece: Piece) -> str:
    tops = [event.pitches[-1] for event in piece.events if event.pitches][:OPENING]
    return " ".join(str(after - before) for before, after in itertools.pairwise(tops))


def _check(corpus: Corpus, names: list[str]) -> None:
    reasons = "; ".join(f"{loss.name}: {loss.reason}" for loss in corpus.losses[:3])
    if len(corpus.pieces) < LEAST_PIECES:
        raise InputError(
            f"{', '.join(names)}: {len(corpus.pieces)} usable scores, and training needs "
            f"{LEAST_PIECES}." + (f" Not used: {reasons}." if reasons else ""),
            f"Name a folder with more files that end in {', '.join(SUFFIXES)}, or a collection: "
            f"{', '.join(COLLECTIONS)}.",
        )
    if len({event for _, piece in corpus.pieces for event in piece.events}) < 2:
        raise InputError(
            "All scores consist of one and the same event, so there is nothing to learn.",
            "Add scores with different notes.",
        )


def _files(name: str, style: str | None) -> list[tuple[Path, str]]:
    if name in COLLECTIONS:
        import music21

        below, own = COLLECTIONS[name]
        root = Path(music21.__file__).parent / "corpus" / below
        pattern = "bwv*.mxl" if name == "bach-chorales" else "*.abc"
        return [(path, own) for path in sorted(root.glob(pattern))]
    root = Path(name)
    if not root.is_dir():
        raise UnreadableError(
            f"{name}: no such folder.",
            f"Name a folder of scores, or a collection: {', '.join(COLLECTIONS)}.",
        )
    found = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [(path, style or "Unknown/Unknown/Keyboard") for path in found]


def _parse_all(files: list[tuple[Path, str]], on_file: Callable[[int, int], None] | None) -> Corpus:
    results: dict[int, list[Piece | Loss]] = {}
    with ProcessPoolExecutor(max_workers=cores()) as pool:
        futures = {pool.submit(parse_file, path): number for number, (path, _) in enumerate(files)}
        for future in as_completed(futures):
            try:
                results[futures[future]] = future.result()
            except BrokenProcessPool:
                continue  # a file killed its process, and the others of the pool with it
            if on_file:
                on_file(len(results), len(files))
    for number, (path, _) in enumerate(files):
        if number not in results:
            results[number] = _parse_alone(path)
    corpus = Corpus()
    for number, (_, style) in enumerate(files):
        for found in results[number]:
            if isinstance(found, Loss):
                corpus.losses.append(found)
            else:
                corpus.pieces.append((style, found))
    return corpus


def _parse_alone(path: Path) -> list[Piece | Loss]:
    """Parse a file in a process of its own, which it may kill."""
    with ProcessPoolExecutor(max_workers=1) as pool:
        try:
            return pool.submit(parse_file, path).result()
        except BrokenProcessPool:
            return [Loss(path.name, "music21's process was killed over it")]


def parse_file(path: Path) -> list[Piece | Loss]:
    """Parse a file; a tunebook gives a piece for each tune, and what fails gives a loss."""
    from music21 import converter, stream

    name = path.name
    if path.stat().st_size > MAX_BYTES:
        return [Loss(name, f"larger than {MAX_BYTES // 2**20} MiB")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parsed = converter.parse(path, forceSource=True)
        except Exception as error:  # music21 raises anything over damaged files
            return [Loss(name, f"music21 can't read it ({type(error).__name__}: {error})")]
        scores = list(parsed.scores) if isinstance(parsed, stream.Opus) else [parsed]
        found: list[Piece | Loss] = []
        for number, score in enumerate(scores, start=1):
            own = f"{name}#{number}" if len(scores) > 1 else name
            try:
                piece = read_stream(score, own)
            except UnusableError as error:
                found.append(Loss(own, str(error)))
            except Exception as error:  # a score music21 parsed and can't walk through
                found.append(Loss(own, f"{type(error).__name__}: {error}"))
            else:
                long = len(piece.events) > MAX_EVENTS
                found.append(Loss(own, f"more than {MAX_EVENTS:,} events") if long else piece)
    return found


def _write(path: Path, wanted: str, corpus: Corpus) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(wanted + "\n")
        for loss in corpus.losses:
            file.write(json.dumps({"loss": [loss.name, loss.reason]}) + "\n")
        for style, piece in corpus.pieces:
            row = {
                "style": style,
                "name": piece.name,
                "metre": piece.metre,
                "pickup": str(piece.pickup),
                "events": " ".join(map(str, piece.events)),
            }
            file.write(json.dumps(row) + "\n")
    os.replace(fresh, path)


def _read(path: Path, wanted: str) -> Corpus | None:
    """Return what was parsed for these sources, or None."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as file:
        if file.readline().rstrip("\n") != wanted:
            return None
        corpus = Corpus()
        for row in _rows(file):
            if "loss" in row:
                corpus.losses.append(Loss(*row["loss"]))
            else:
                events = tuple(Event.parse(word) for word in row["events"].split())
                piece = Piece(row["name"], events, row["metre"], Fraction(row["pickup"]))
                corpus.pieces.append((row["style"], piece))
    return corpus


def _rows(lines: Iterable[str]) -> Iterator[dict]:
    for line in lines:
        yield json.loads(line)
