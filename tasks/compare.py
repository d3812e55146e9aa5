"""Read the pieces of sets and measure them, spread over processes."""

from __future__ import annotations

import hashlib
import re

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.abc.score import Score
from scoregate.convert import ConversionError, convert, needs_conversion, piece_text
from scoregate.convert.abc_text import decode_abc, read_abc
from scoregate.errors import RequestError, ScoregateError
from scoregate.evaluation import Measured, measure_piece, note_features
from scoregate.experiments.comparison import PieceFigures
from scoregate.experiments.comparison_page import ReadSet
from scoregate.pool import Pool
from scoregate.progress import report
from scoregate.sources import read_bytes
from scoregate.tasks.sets import Item, Listed
from scoregate.time_limit import TimeIsUp, time_limit
from scoregate.validators import registry
from scoregate.validators.examination import examine
from scoregate.validators.screening import SECONDS

CHUNK = 8
_VOICE = re.compile(r"\[V:\s*([^\]\s]+)[^\]]*\]")
Read = PieceFigures | tuple[str, str]
"""The figures of a piece; or its name and why it could not be read."""
GATE_GROUPS = {
    "bars": "bars", "ranges": "range", "repetition": "repetition", "measures": "pitch and key",
    "harmony": "harmony", "parts": "parts", "marks": "marks",
}  # fmt: skip


Placed = tuple[int, Item]
"""A piece with its place in the set."""


def figures_of(placed: list[Placed]) -> list[tuple[int, Read]]:
    """Return the figures of pieces with their places; a pool's processes run it."""
    return [(place, read_item(item)) for place, item in placed]


def lost(placed: Placed) -> tuple[int, Read]:
    """Return the result for a piece whose process died."""
    place, item = placed
    return place, (item.name, "the process that read it died")


def read_item(item: Item) -> Read:
    """Return the figures of a piece, or its name and why it could not be read."""
    try:
        with time_limit(SECONDS):
            text: str | bytes = item.text
            if item.source is not None:
                text = read_bytes(item.source)
                if needs_conversion(item.source.ending):
                    text = convert(text, item.source.ending, item.name).abc
            return measured(item.name, text)
    except TimeIsUp:
        return item.name, f"it took longer than {SECONDS} s"
    except (ScoregateError, ConversionError) as error:
        return item.name, str(error).partition("\n")[0].removeprefix(f"{item.name}: ")


def measured(name: str, text: str | bytes) -> PieceFigures:
    """Measure a piece: by the gates, as four-part writing, and by the features of mgeval.

    The gate ``syntax`` is left out, since it starts a program for each piece, and those for
    production only, which ask how near a piece is to the corpus it may be compared with.

    Raises
    ------
    RequestError
        The piece has no bar that can be read.
    """
    gates = [gate for gate in registry.names() if gate != "syntax"]
    seen = examine(text, gates=gates)
    score = seen.score
    if not score.bar_count:
        raise RequestError("it has no bar that can be read")
    numbers = {
        f"{GATE_GROUPS.get(gate, gate)}: {title_of(gate, measure)}": float(value)
        for full, value in seen.measures.items()
        for gate, _, measure in [full.partition(".")]
    }
    voices = _voice_measures(score, name)
    for group, found in voices.items():
        numbers |= {f"{group}: {measure}": float(value) for measure, value in found.items()}
    notes = note_features(score)
    numbers |= {f"notes: {measure}": value for measure, value in notes.numbers.items()}
    return PieceFigures(
        name=name,
        digest=hashlib.sha256(score.text.encode("utf-8", "replace")).hexdigest(),
        numbers=numbers,
        vectors={f"notes: {measure}": value for measure, value in notes.vectors.items()},
    )


def _voice_measures(score: Score, name: str) -> Measured:
    """Measure a score as voices that go together, voice after voice or interleaved as written.

    Empty where the voices are of unequal length, so that their bars can't be laid together.
    """
    text = score.text
    if not score.interleaved:
        try:
            text = piece_text(read_abc(decode_abc(text.encode("utf-8", "replace")), name))
        except (ConversionError, ValueError):
            return {}
    order = {voice.id: number for number, voice in enumerate(score.voices, 1)}
    numbered = _VOICE.sub(lambda found: f"[V:{order.get(found[1], 0)}]", text)
    transpose = {order[voice.id]: voice.transpose for voice in score.voices}
    return measure_piece(numbered, transpose)


def title_of(gate: str, measure: str) -> str:
    """Return the name of a gate's measure for people, in lower case."""
    known = registry.measures().get(f"{gate}.{measure}")
    return known.title.lower() if known else measure.replace("_", " ")


@task(name="read set", task_run_name="read {listed.name}", cache_policy=NO_CACHE)
def read_set(listed: Listed, processes: int) -> ReadSet:
    """Read and measure the pieces of a set that was listed.

    Raises
    ------
    RequestError
        No piece of the set could be read.
    """
    placed = list(enumerate(listed.items))
    chunks = [placed[start : start + CHUNK] for start in range(0, len(placed), CHUNK)]
    preload = ("scoregate.tasks.compare", "scoregate.validators.examination")
    found: dict[int, Read] = {}
    with Pool(figures_of, lost, processes, preload) as pool:
        for done in pool.map(chunks):
            found.update(done)
            report(listed.name, len(found), len(placed), "pieces read")
    reads = [found[place] for place in sorted(found)]
    pieces = [each for each in reads if isinstance(each, PieceFigures)]
    unreadable = [*listed.lost, *(each for each in reads if not isinstance(each, PieceFigures))]
    if not pieces:
        raise RequestError(
            f"No piece of {listed.name} could be read: {unreadable[0][0]}: {unreadable[0][1]}.",
            "`scoregate check` says more about a single piece.",
        )
    return ReadSet(listed.name, listed.found, pieces, unreadable)
