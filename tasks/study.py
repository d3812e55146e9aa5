"""The steps of a study of the LSTM's settings as tasks: corpus, one arm, references, page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.errors import RequestError
from scoregate.generator import Limits, find_generator
from scoregate.lstm import project
from scoregate.lstm.corpus import Corpus, collect, split
from scoregate.lstm.events import Piece
from scoregate.lstm.generator import LstmGenerator
from scoregate.lstm.notation import to_abc
from scoregate.lstm.project import Prepared
from scoregate.lstm.study.page import write_page
from scoregate.lstm.study.plan import Arm, Plan
from scoregate.lstm.study.training_runs import READOUTS, train_arm, write_row
from scoregate.lstm.training import Run
from scoregate.lstm.weights import read_weights
from scoregate.progress import report
from scoregate.sampling import Sampling
from scoregate.styles import parse
from scoregate.tasks.lstm_pieces import (
    Reference,
    keep_texts,
    measure_set,
    read_record,
    reference_of,
    reference_of_events,
)

FIRST_SEED = 1000
"""Seed of the first piece that is sampled; the others follow."""


@task(name="collect scores", cache_policy=NO_CACHE)
def prepare(plan: Plan, folder: Path) -> tuple[Prepared, Reference, list[tuple[str, Piece]]]:
    """Parse the corpus, or read what an earlier run parsed.

    Returns
    -------
    prepared : Prepared
    reference : Reference
        Of the training side.
    held : list of (str, Piece)
        The test side, with styles.
    """
    corpus: Corpus = collect(
        plan.sources,
        folder,
        on_file=lambda done, total: report("reading scores", done, total, f"{done} of {total}"),
        most_files=plan.most_files,
    )
    sides = split(corpus)
    prepared = project.encode(corpus)
    reference = reference_of_events([piece for _, piece in sides.train])
    return prepared, reference, sides.test


@task(name="arm", task_run_name="arm {arm.name}, seed {seed}", cache_policy=NO_CACHE)
def run_arm(
    arm: Arm, seed: int, plan: Plan, prepared: Prepared, reference: Reference, folder: Path
) -> dict[str, Any]:
    """Train an arm, sample from it and judge the pieces; a finished arm is read from its file.

    An arm that diverges is reported as such and has no pieces.
    """
    own = folder / "arms" / f"{arm.name}-seed{seed}"
    known = read_record(own / "arm.json")
    if known is not None:
        return known
    torch.set_num_threads(1)  # processor time is compared, and the layers are small

    def tell(run: Run) -> None:
        note = f"{arm.name}, seed {seed}: {run.step} updates, {run.seconds:.0f} s"
        report(f"training {arm.name}", run.seconds, None, note)

    readouts = train_arm(arm, plan, seed, prepared, own, tell)
    for name in READOUTS:
        row = readouts[name]
        if not row["diverged"]:
            wanted = plan.temperatures if name == "time" else plan.temperatures[:1]
            row["sets"] = {
                str(temperature): _sampled(row, temperature, plan, reference, own)
                for temperature in wanted
            }
    record = {"arm": arm.name, "changed": list(arm.changed), "seed": seed, "readouts": readouts}
    write_row(own / "arm.json", record)
    return record


def _sampled(
    row: dict[str, Any], temperature: float, plan: Plan, reference: Reference, own: Path
) -> dict[str, Any]:
    """Sample a set of pieces from an arm's weights and measure it."""
    weights = Path(row["weights"])
    path = weights.with_name(f"{weights.stem}-{temperature}.json")
    known = read_record(path)
    if known is not None:
        return known
    generator = LstmGenerator(read_weights(weights), "cpu")
    styles = [generator.styles[i % len(generator.styles)] for i in range(plan.pieces)]
    # Neither top_k nor top_p, so that the temperature alone shapes what is sampled.
    written = generator.generate(
        styles,
        seeds=range(FIRST_SEED, FIRST_SEED + plan.pieces),
        sampling=Sampling(temperature, top_k=0, top_p=1.0),
        limits=Limits(max_steps=plan.most_events),
    )
    texts = [piece.text for piece in written]
    keep_texts(own / f"{weights.stem}-{temperature}", texts)
    found = measure_set(texts, None, reference, [piece.ended != "finished" for piece in written])
    write_row(path, found)
    return found


@task(name="references", cache_policy=NO_CACHE)
def references(
    plan: Plan, reference: Reference, held: list[tuple[str, Piece]], folder: Path
) -> dict[str, dict[str, Any]]:
    """Measure real pieces and embedded models in the same way; finished sets are read.

    Returns
    -------
    dict
        By name of the set. Tunes are compared with the corpus of the study, chorales with the
        chorales of music21's corpus that the embedded NotaGen model was trained on.
    """
    sets = {}
    makers = {
        "real tunes (test pieces)": lambda: _real_tunes(plan, reference, held),
        "embedded LSTM": lambda: _embedded("lstm", plan, reference),
        "real chorales (test pieces)": lambda: _chorales(plan, "real"),
        "embedded NotaGen": lambda: _chorales(plan, "notagen"),
    }
    unknown = set(plan.references) - set(makers)
    if unknown:
        raise RequestError(
            f"There is no reference {', '.join(sorted(unknown))}.",
            f"There are {', '.join(makers)}.",
        )
    for number, name in enumerate(plan.references):
        make = makers[name]
        path = folder / "references" / f"{name.replace(' ', '-')}.json"
        report("references", number, len(plan.references), name)
        known = read_record(path)
        if known is None:
            known = make()
            write_row(path, known)
        sets[name] = known
    return sets


def _real_tunes(plan: Plan, reference: Reference, held: list[tuple[str, Piece]]) -> dict[str, Any]:
    chosen = held[:: max(1, len(held) // (4 * plan.pieces))]
    texts = [parse(s).prompt + to_abc(piece, parse(s).instrumentation) for s, piece in chosen]
    return measure_set(texts, None, reference)


def _embedded(model: str, plan: Plan, reference: Reference) -> dict[str, Any]:
    generator = find_generator(model).load(None, "cpu", "fp32", 1)
    styles = generator.styles
    assert styles, "embedded weights name their styles"
    count = 4 * plan.pieces
    written = generator.generate(
        [styles[i % len(styles)] for i in range(count)],
        seeds=range(FIRST_SEED, FIRST_SEED + count),
        sampling=Sampling(1.0, top_k=9, top_p=0.9),
    )
    unfinished = [piece.ended != "finished" for piece in written]
    return measure_set([piece.text for piece in written], None, reference, unfinished)


def _chorales(plan: Plan, which: str) -> dict[str, Any]:
    from scoregate.abc.reader import read
    from scoregate.notagen.training.corpus import CHORALE_STYLE, bach_chorales
    from scoregate.notagen.training.corpus import split as split_chorales

    corpus = bach_chorales()
    sides = split_chorales(corpus.texts)
    reference = reference_of([read("X:1\n" + corpus.texts[name]) for name in sides.train])
    if which == "notagen":
        return _embedded("notagen", plan, reference)
    texts = ["X:1\n" + corpus.texts[name] for name in sides.test]
    return measure_set(texts, "/".join(CHORALE_STYLE), reference)


@task(name="write page", cache_policy=NO_CACHE)
def page(
    plan: Plan,
    records: list[dict[str, Any]],
    sets: dict[str, dict[str, Any]],
    folder: Path,
) -> dict[str, str]:
    """Write tables and figures from what is finished so far; return their paths."""
    return {kind: str(path) for kind, path in write_page(plan, records, sets, folder).items()}
