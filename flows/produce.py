"""The production line: generate pieces, gate them, resample what failed, archive what passed.

A round generates as many pieces as are missing; what fails is resampled in the next round with
new seeds, until the count is reached or the rounds are used up. A round goes through the line in
batches, and each step is one task over all pieces of a batch. While a batch is judged and
rendered, the next one is generated. What a batch has finished is in the run's journal, so a run
that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prefect import flow
from prefect.logging import get_run_logger

from scoregate.archive.production import ProductionRun
from scoregate.archive.records import RunRecord
from scoregate.archive.round_work import RoundWork
from scoregate.evaluation.critic import critic_of
from scoregate.flows import notes
from scoregate.flows.launch import quiet_lost_events
from scoregate.flows.results import keep
from scoregate.flows.server import server_answers
from scoregate.flows.shards import open_sharded, run_shards
from scoregate.generation.writers import Writers
from scoregate.generator import with_weights
from scoregate.piece import Batch
from scoregate.progress import announce
from scoregate.progress import report as progress
from scoregate.requests import ProduceRequest
from scoregate.tasks.archive import archive_pieces, begin_run, record_run
from scoregate.tasks.drafts import Drafts
from scoregate.tasks.gates import read, run_gate
from scoregate.tasks.generate import BATCH, generate, load_generator
from scoregate.tasks.judge import judge
from scoregate.tasks.publish import publish
from scoregate.tasks.render import render
from scoregate.tasks.watch import watch
from scoregate.timing import ledger
from scoregate.validators import registry
from scoregate.validators.verdict.suite import import_ahead


@flow(name="produce", flow_run_name="{request.count} x {request.style}", validate_parameters=True)
def produce(request: ProduceRequest) -> RunRecord:
    """Produce passing pieces and archive them, each with its quality report.

    Parameters
    ----------
    request : ProduceRequest

    Returns
    -------
    RunRecord
        As written to ``runs/<run id>/run.json``; ``missing`` says how many pieces it is
        short of.
    """
    quiet_lost_events()  # A worker runs the flow without `launch.prepare`, which calls it too.
    request = with_weights(request)
    record = _produce_shards(request) if request.shards > 1 else _produce_here(request)
    keep(record)
    if server_answers():
        publish(request.out, record)
        watch(request.out, record)
    else:
        announce(notes.SERVER_GONE)
    return record


def _produce_here(request: ProduceRequest) -> RunRecord:
    started = time.perf_counter()
    with ledger() as seconds, Writers(request) as writers:
        request, engine = load_generator(writers)
        run = begin_run(request, engine)
        try:
            writers.request = run.request
            best = run.request.quality == "best"
            writers.on_written = Drafts(run).record if best else run.record_generated
            if engine["trained_style"] is not True:
                run.note(notes.untrained(request.style, engine["trained_style"]))
            if best and critic_of(run.request.style) is None:
                run.note(notes.no_critic(run.request.style))
                announce(notes.no_critic(run.request.style))
            import_ahead()
            stopped = _make_pieces(run, writers)
            if run.rounds_are_used_up and not stopped:
                run.note(notes.rounds_used_up(run.missing, request.rounds))
            if run.cut_off:
                run.note(notes.cut_off(run.cut_off))
            for sentence in notes.chosen(run.record):
                run.note(sentence)
            return record_run(run, seconds, time.perf_counter() - started)
        finally:
            writers.stop()  # What is finished by now is recorded before the run is given back.
            run.close()


def _produce_shards(request: ProduceRequest) -> RunRecord:
    started = time.perf_counter()
    with ledger() as seconds:
        run = open_sharded(request)
        try:
            run_shards(run, request)
            for sentence in notes.chosen(run.record):
                run.note(sentence)
            return record_run(run, seconds, time.perf_counter() - started)
        finally:
            run.close()


def _make_pieces(run: ProductionRun, writers: Writers) -> bool:
    """Send round after round, batch after batch, down the line; return whether Ctrl-C ended it."""
    log = get_run_logger()
    gates = registry.names(production=True)
    for work in run.rounds():
        for indexes in _batches(work):
            note = f"round {work.number}"
            progress("pieces", run.finished, run.request.count, note)
            pieces, stopped = generate(writers, run, work.number, indexes)
            if stopped:
                run.note(notes.stopped(work.number))
            if pieces:
                pieces = read(pieces)
                for gate in gates:
                    pieces = run_gate(gate, pieces)
                pieces = judge(pieces, gates)
                run.record_judged(pieces)
                pieces = render(run, pieces, run.request.audio)
                run = archive_pieces(run, work.number, pieces)
            if stopped:
                if work.rows:
                    run.end_round()
                return True
        run.end_round()
        log.info("Round %d: %s", work.number, run.last_round)
    return False


def _batches(work: RoundWork) -> Iterator[Batch[int]]:
    """Yield the indexes of the pieces that are not archived, a batch at a time."""
    left = work.unarchived
    for start in range(0, len(left), BATCH):
        yield Batch(left[start : start + BATCH])
