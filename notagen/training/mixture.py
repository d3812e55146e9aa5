"""Several corpora in one training, each with its share, and styles from the names of folders.

A source is ``bach-chorales``, ``fiddle-tunes`` or a folder of scores; several are separated by
commas, each with the share of the steps that it gets::

    bach-chorales=0.7,fiddle-tunes=0.3

Without shares every piece is as likely as every other. In a folder of scores, pieces below a
folder named ``Period_Composer_Instrumentation``, or below three folders ``Period/Composer/
Instrumentation``, have that style.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scoregate import styles
from scoregate.errors import RequestError
from scoregate.notagen.training.corpus import CHORALES, Corpus, Style
from scoregate.notagen.training.project import Prepared, collect_scores, prepare
from scoregate.notagen.training.tunes import FIDDLE_TUNES
from scoregate.requests import DEFAULT_STYLE

TOLERANCE = 0.005
"""How far the sum of the shares may be from 1: shares are written with two digits."""
REMEDY = "Write them as bach-chorales=0.7,my-scores=0.3; all have a share, or none."


@dataclass(frozen=True, slots=True)
class Source:
    """One corpus of a training.

    Attributes
    ----------
    name : str
        ``bach-chorales``, ``fiddle-tunes``, or a folder.
    share : float or None
        Of the steps, 0 to 1; None where no source has one.
    """

    name: str
    share: float | None = None

    @property
    def label(self) -> str:
        """Name in front of the names of its pieces."""
        return Path(self.name).name or self.name


def read_sources(text: str) -> list[Source]:
    """Return the sources that a text names.

    Raises
    ------
    RequestError
        A share is no number above 0, only some have one, they do not add up to 1, or a source
        stands there twice.

    Examples
    --------
    >>> read_sources("bach-chorales=0.7, fiddle-tunes=0.3")
    [Source(name='bach-chorales', share=0.7), Source(name='fiddle-tunes', share=0.3)]
    >>> read_sources("my-scores")
    [Source(name='my-scores', share=None)]
    """
    if Path(text).is_dir():
        return [Source(text)]  # A folder may have a comma or a sign of equality in its name.
    found = [_source(part.strip()) for part in text.split(",") if part.strip()]
    if not found:
        raise RequestError("No corpus is named.", REMEDY)
    labels = [source.label for source in found]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise RequestError(f"Two sources are called {twice}.", "Name each once.")
    shares = [source.share for source in found if source.share is not None]
    if not shares:
        return found
    if len(shares) < len(found):
        without = ", ".join(source.name for source in found if source.share is None)
        raise RequestError(f"There is no share for {without}.", REMEDY)
    if abs(sum(shares) - 1) > TOLERANCE:
        told = " + ".join(f"{share:g}" for share in shares)
        raise RequestError(f"The shares add up to {sum(shares):g} ({told}), not to 1.", REMEDY)
    return found


def _source(part: str) -> Source:
    name, sign, share = part.rpartition("=")
    if not sign or Path(part).is_dir():
        return Source(part)
    try:
        value = float(share)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise RequestError(f"{share!r:.40} is no share of {name}: 0 to 1.", REMEDY)
    return Source(name, value)


def prepare_sources(
    text: str, folder: Path, style: str, on_file: Callable[[int], None] | None = None
) -> Prepared:
    """Convert the named corpora, split each by tune, and put them together.

    Parameters
    ----------
    text : str
        See :func:`read_sources`.
    folder : Path
        The project's own; named corpora are kept there once converted.
    style : str
        Of pieces that have none of their own.
    on_file : callable, optional
        Told how many files of the current corpus are done.

    Raises
    ------
    RequestError
        Faulty sources, or a style that no piece has.
    InputError, UnreadableError
        A corpus with nothing to train on; the reasons are named.
    """
    sources = read_sources(text)
    asked = styles.parse(style)
    named = (asked.period, asked.composer, asked.instrumentation)
    parts = []
    for source in sources:
        cache = folder if len(sources) == 1 else folder / source.label
        corpus = collect_scores(source.name, cache, on_file)
        if source.name not in (CHORALES, FIDDLE_TUNES):
            corpus.styles = folder_styles(corpus, Path(source.name))
        parts.append(prepare(corpus, named))
    prepared = parts[0] if len(parts) == 1 else joined(sources, parts)
    if str(asked) != DEFAULT_STYLE and named not in prepared.every_style:
        own = "; ".join("/".join(each) for each in prepared.every_style[:8])
        raise RequestError(
            f"No piece of {text} has the style {asked}.",
            f"All pieces have one of their own ({own}): leave --style out, or name one of these.",
        )
    return prepared


def folder_styles(corpus: Corpus, root: Path) -> dict[str, Style]:
    """Return the styles of those pieces that lie in folders named after one.

    Examples
    --------
    >>> corpus = Corpus({"a": "", "b": ""}, places={"a": "r/Folk_Old, Joe_Fiddle/a.abc"})
    >>> folder_styles(corpus, Path("r"))
    {'a': ('Folk', 'Old, Joe', 'Fiddle')}
    """
    found = {}
    for name, place in corpus.places.items():
        folders = Path(place).relative_to(root).parts[:-1]
        for at, one in enumerate(folders):
            parts = one.split("_") if one.count("_") == 2 else list(folders[at : at + 3])
            if len(parts) == 3 and all(part.strip() for part in parts):
                period, composer, instrumentation = (part.strip() for part in parts)
                found[name] = (period, composer, instrumentation)
                break
    return found


def joined(sources: Sequence[Source], parts: Sequence[Prepared]) -> Prepared:
    """Return several prepared corpora as one; names get their source's label in front.

    Where shares are given they are kept: see :class:`~scoregate.notagen.training.material.Material`
    for what they do.
    """
    whole = Prepared(parts[0].style, {}, {}, {}, small=any(part.small for part in parts))
    sides = (whole.train, whole.validation, whole.test)
    for source, part in zip(sources, parts, strict=True):
        for side, pieces in zip(sides, (part.train, part.validation, part.test), strict=True):
            for name, text in pieces.items():
                marked = f"{source.label}/{name}"
                side[marked] = text
                whole.styles[marked] = part.styles.get(name, part.style)
                whole.sources[marked] = source.label
        whole.losses += part.losses
        if source.share is not None:
            whole.shares[source.label] = source.share
    return whole


def told(sources: Sequence[Source]) -> str:
    """Return the sources as a card names them.

    Examples
    --------
    >>> told([Source("bach-chorales", 0.7), Source("x/my-scores", 0.3)])
    'bach-chorales (70 %), my-scores (30 %)'
    """
    return ", ".join(
        source.label + (f" ({source.share:.0%})".replace("%", " %") if source.share else "")
        for source in sources
    )
