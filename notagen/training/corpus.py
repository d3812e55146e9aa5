"""The corpus: scores collected, converted, and split by tune.

``scoregate corpus bach-chorales`` rebuilds the Bach chorales from the music21 package: nothing of
them is stored with the project. Two settings of one tune always land
on the same side of the split: they are found by the bar pairs that their sopranos share.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from scoregate.convert.abc_text import read_abc
from scoregate.convert.bar_events import midi_pitch
from scoregate.convert.chorale import as_chorale
from scoregate.convert.files import SUFFIXES, Loss, convert_file
from scoregate.convert.piece import ConversionError, Piece, bars_of, piece_text
from scoregate.errors import UnreadableError
from scoregate.notagen.training.measures import CopyIndex, measure

Style = tuple[str, str, str]
"""Period, composer, instrumentation."""
CHORALE_STYLE: Style = ("Baroque", "Bach, Johann Sebastian", "Choral")
CHORALES = "bach-chorales"
OUT_OF_METRE = "a bar contradicts its own time signature"
SHARED = 0.25  # share of bar pairs in common that makes two sopranos the same tune
# Settings of one tune that share fewer bars than that, found by reading the test pieces.
SAME_TUNES = (
    ("bwv244.32.mxl", "bwv248.46-5.mxl", "bwv52.6.mxl"),
    ("bwv130.6.mxl", "bwv326.mxl", "bwv327.mxl"),
    ("bwv145-a.mxl", "bwv365.mxl"),
)


@dataclass(slots=True)
class Corpus:
    """Converted pieces, by name of their source, with what was lost on the way.

    Attributes
    ----------
    texts : dict of str to str
    losses : list of Loss
    style : tuple of str or None
        Of a named corpus; None for a folder of scores.
    styles : dict of str to tuple of str
        By piece, where a corpus has several.
    not_trained : dict of str to str
        Pieces that are left out of the training side alone, with the reason.
    places : dict of str to str
        Path of each piece's file, where it came from a folder.
    """

    texts: dict[str, str]
    losses: list[Loss] = field(default_factory=list)
    style: Style | None = None
    styles: dict[str, Style] = field(default_factory=dict)
    not_trained: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Split:
    """Names of the pieces on each side; test pieces are never looked at in training."""

    train: list[str]
    validation: list[str]
    test: list[str]


def chorale_files() -> list[Path]:
    """Return the score files of the Bach chorales in the installed music21 package.

    The four kern files are left out: their terms reserve derived formats.
    """
    import music21

    folder = Path(music21.__file__).parent / "corpus" / "bach"
    return sorted(p for p in folder.iterdir() if p.suffix in (".mxl", ".xml"))


def folder_files(folder: Path) -> list[Path]:
    """All scores in a folder and below, sorted.

    Raises
    ------
    UnreadableError
        The folder is missing or holds no score.
    """
    if not folder.is_dir():
        raise UnreadableError(
            f"{folder} is no folder.",
            "Name a folder that holds scores, bach-chorales, or fiddle-tunes.",
        )
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise UnreadableError(
            f"{folder} holds no scores.", f"Scores are files ending in {', '.join(SUFFIXES)}."
        )
    return files


def collect(
    files: Iterable[Path],
    reduce: Callable[[Piece], Piece] | None = None,
    on_file: Callable[[int], None] | None = None,
) -> Corpus:
    """Convert files; what fails becomes a loss with its reason.

    Parameters
    ----------
    files : iterable of Path
    reduce : callable, optional
        Applied to every piece, such as :func:`~scoregate.convert.chorale.as_chorale`.
    on_file : callable, optional
        Told how many files are done.
    """
    corpus = Corpus({})
    seen: set[str] = set()
    for count, path in enumerate(files, 1):
        try:
            piece = convert_file(path)
            text = piece_text(reduce(piece) if reduce else piece)
            if not text.isascii():
                text = text.encode("ascii", "replace").decode()
            digest = hashlib.sha256(text.encode()).hexdigest()
            if digest in seen:
                raise ConversionError("the same music as another file")
            seen.add(digest)
            name = path.name if path.name not in corpus.texts else str(path)
            corpus.texts[name], corpus.places[name] = text, str(path)
        except ConversionError as error:
            corpus.losses.append(Loss(path.name, str(error)))
        if on_file:
            on_file(count)
    return corpus


def bach_chorales(
    cache: Path | None = None, on_file: Callable[[int], None] | None = None
) -> Corpus:
    """Return the Bach chorales of music21, four singers each; about ten seconds.

    Parameters
    ----------
    cache : Path, optional
        A JSON file that is written once and read afterwards.
    on_file : callable, optional
        Told how many files are done.
    """
    if cache and cache.exists():
        stored = json.loads(cache.read_text())
        losses = [Loss(**loss) for loss in stored["losses"]]
        return Corpus(stored["texts"], losses, CHORALE_STYLE)
    corpus = collect(chorale_files(), as_chorale, on_file)
    corpus.style = CHORALE_STYLE
    if cache:
        cache.parent.mkdir(parents=True, exist_ok=True)
        losses = [{"name": x.name, "reason": x.reason} for x in corpus.losses]
        partial = cache.with_suffix(".partial")
        partial.write_text(json.dumps({"texts": corpus.texts, "losses": losses}, indent=0))
        partial.replace(cache)
    return corpus


def tune_marks(text: str) -> set[tuple]:
    """Fingerprints of the first voice, the same in every key: pairs of successive bars."""
    first = bars_of(read_abc(text, ""))[0]
    bars, before = [], None
    for bar in first:
        mark = []
        for event in bar.events:
            if event.pitches:
                pitch = midi_pitch(event.pitches[0])
                mark.append((0 if before is None else pitch - before, event.duration))
                before = pitch
        bars.append(tuple(mark))
    return {a + b for a, b in pairwise(bars) if len(a + b) >= 6}


def tune_groups(texts: dict[str, str], shared: float = SHARED) -> list[list[str]]:
    """Pieces grouped by tune, sorted; a piece whose tune is its own is a group of one."""
    marks = {name: tune_marks(text) for name, text in texts.items()}
    parent = {name: name for name in texts}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    names = sorted(texts)
    # Only pieces that share a mark are compared: of thousands of tunes few do.
    holders: dict[tuple, list[str]] = {}
    for name in names:
        for mark in marks[name]:
            holders.setdefault(mark, []).append(name)
    for a in names:
        common = Counter(b for mark in marks[a] for b in holders[mark] if b > a)
        for b in sorted(common):
            if common[b] >= max(1, shared * min(len(marks[a]), len(marks[b]))):
                parent[root(b)] = root(a)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(root(name), []).append(name)
    return sorted(groups.values())


def split(texts: dict[str, str], validation: float = 0.06, test: float = 0.1) -> Split:
    """Split by tune, the same way every time: groups go by a hash of their first name.

    With fewer than three groups everything is training material and the other sides repeat it.
    """
    groups = tune_groups(texts)
    if len(groups) < 3:
        names = sorted(texts)
        return Split(names, names, names)
    groups.sort(key=lambda g: hashlib.sha256(g[0].encode()).hexdigest())
    sides: list[list[str]] = [[], [], []]
    wanted = [max(1, round(test * len(texts))), max(1, round(validation * len(texts)))]
    for group in groups:
        for side, count in zip((2, 1), wanted, strict=True):
            # A large family of settings would fill a small side alone: it is for training.
            if len(sides[side]) < count and len(group) <= max(1, count // 4):
                sides[side] += group
                break
        else:
            sides[0] += group
    return rejoin(Split(sorted(sides[0]), sorted(sides[1]), sorted(sides[2])))


def rejoin(sides: Split, families: Iterable[Iterable[str]] = SAME_TUNES) -> Split:
    """Move a tune that stands on several sides to training as a whole.

    The other pieces stay where they are, so figures of earlier weights remain comparable.

    Parameters
    ----------
    sides : Split
    families : iterable of iterable of str
        Names of pieces on the same tune.
    """
    held = (set(sides.train), set(sides.validation), set(sides.test))
    for family in families:
        present = [side & set(family) for side in held]
        if sum(map(bool, present)) > 1:
            for side, names in zip(held, present, strict=True):
                side -= names
                held[0].update(names)
    return Split(*(sorted(side) for side in held))


def in_metre(corpus: Corpus, sides: Split) -> Split:
    """Leave out the pieces in which a bar contradicts the piece's own time signature.

    Faults of the encodings, five in the chorales. They go after the split, not before it, so
    that every other piece stays on the side it was on; they are added to ``corpus.losses``.
    """
    flawed = {name for name, text in corpus.texts.items() if measure(text, CopyIndex([])).metre < 1}
    told = {loss.name for loss in corpus.losses}
    corpus.losses += [Loss(name, OUT_OF_METRE) for name in sorted(flawed - told)]
    kept = ([n for n in names if n not in flawed] for names in
            (sides.train, sides.validation, sides.test))  # fmt: skip
    return Split(*kept)
