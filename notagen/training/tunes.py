"""The fiddle tunes of three collections in the music21 package: O'Neill, Ryan, Aird.

Each collection is a style of its own. Nothing of them is stored with the project.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from scoregate.convert.abc_text import decode_abc, read_abc
from scoregate.convert.files import Loss
from scoregate.convert.piece import ConversionError, aligned, piece_text
from scoregate.convert.tune import as_tune
from scoregate.notagen.training.corpus import Corpus, Style
from scoregate.notagen.training.tune_spelling import ends_on_tonic, spelt_alike
from scoregate.tunebooks import tunes_of

FIDDLE_TUNES = "fiddle-tunes"
FIDDLE_STYLES: dict[str, Style] = {
    "oneills1850": ("Folk", "O'Neill, Francis", "Fiddle"),
    "ryansMammoth": ("Folk", "Ryan, William Bradbury", "Fiddle"),
    "airdsAirs": ("Folk", "Aird, James", "Fiddle"),
}
"""Folder of music21's corpus to style."""
FIDDLE_COMPASS = (55, 84)
"""Lowest and highest MIDI pitch of a transposed tune: G3, the open string, to C6."""
OFF_TONIC = "ends on another note than the tonic of its key"


def fiddle_tunes(cache: Path | None = None, on_file: Callable[[int], None] | None = None) -> Corpus:
    """Return the tunes of one voice without chords, spelt alike; half a minute.

    Tunes that end on another note than the tonic of their key field are not for training: in some
    the field names another key than the music has, and a model can't tell the two kinds apart.

    Parameters
    ----------
    cache : Path, optional
        A JSON file that is written once and read afterwards.
    on_file : callable, optional
        Told how many files are done.
    """
    if cache and cache.exists():
        stored = json.loads(cache.read_text())
        styles = {name: FIDDLE_STYLES[name.partition("/")[0]] for name in stored["texts"]}
        losses = [Loss(**loss) for loss in stored["losses"]]
        corpus = Corpus(stored["texts"], losses, next(iter(FIDDLE_STYLES.values())), styles)
        return _without_other_finals(corpus)
    corpus = Corpus({}, style=next(iter(FIDDLE_STYLES.values())))
    seen: set[str] = set()
    for done, path in enumerate(_files(), 1):
        style = FIDDLE_STYLES[path.parent.name]
        data = path.read_bytes()
        # A file with one tune is no book: Ryan's collection has a file for each tune.
        for number, (_, content) in enumerate(tunes_of(data) or [(1, data)], 1):
            name = f"{path.parent.name}/{path.stem}-{number}"
            try:
                text = piece_text(as_tune(aligned(read_abc(decode_abc(content), name))))
                text = spelt_alike(text)
            except ConversionError as error:
                corpus.losses.append(Loss(name, str(error)))
                continue
            digest = hashlib.sha256(text.encode()).hexdigest()
            if digest in seen:
                corpus.losses.append(Loss(name, "the same music as another tune"))
                continue
            seen.add(digest)
            corpus.texts[name], corpus.styles[name] = text, style
        if on_file:
            on_file(done)
    if cache:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(".partial")
        losses = [asdict(loss) for loss in corpus.losses]
        partial.write_text(json.dumps({"texts": corpus.texts, "losses": losses}, indent=0))
        partial.replace(cache)
    return _without_other_finals(corpus)


def _without_other_finals(corpus: Corpus) -> Corpus:
    """Keep the tunes that do not end on their tonic away from training."""
    corpus.not_trained = {
        name: OFF_TONIC for name, text in corpus.texts.items() if not ends_on_tonic(text)
    }
    return corpus


def _files() -> list[Path]:
    import music21

    root = Path(music21.__file__).parent / "corpus"
    return [path for name in FIDDLE_STYLES for path in sorted((root / name).glob("*.abc"))]
