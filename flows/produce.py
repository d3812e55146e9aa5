"""The production line: generate pieces, gate them, resample what failed, archive what passed.

A round is a batch: each step is one task over all its pieces. What fails is resampled in the
next round with new seeds, until the count is reached or the rounds are used up.
"""

from __future__ import annotations

import time

from prefect import flow
from prefect.logging import get_run_logger

from scoregate.archive.records import RunRecord
from scoregate.flows import notes
from scoregate.progress import report as progress
from scoregate.requests import ProduceRequest
from scoregate.seeds import seeds_of_round
from scoregate.tasks.archive import archive_pieces, begin_run, record_run
from scoregate.tasks.gates import read, run_gate
from scoregate.tasks.generate import generate, load_generator
from scoregate.tasks.judge import judge
from scoregate.tasks.publish import publish
from scoregate.tasks.render import render
from scoregate.tasks.watch import watch
from scoregate.timing import ledger
from scoregate.validators import registry


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
    started = time.perf_counter()
    log = get_run_logger()
    gates = registry.names(production=True)
    with ledger() as seconds:
        request, seed, engine = load_generator(request)
        run = begin_run(request, engine)
        if engine["trained_style"] is not True:
            run.note(notes.untrained(request.style, engine["trained_style"]))

        for number in range(1, request.rounds + 1):
            progress("pieces", request.count - run.missing, request.count, f"round {number}")
            seeds = seeds_of_round(seed, number, run.missing)
            pieces, stopped = generate(request, number, seeds)
            if stopped:
                run.note(notes.stopped(number))
            if not pieces:
                break
            pieces = read(pieces)
            for gate in gates:
                pieces = run_gate(gate, pieces)
            pieces = judge(pieces, gates)
            pieces = render(pieces, request.audio)
            run = archive_pieces(run, number, pieces)
            log.info("Round %d: %s", number, run.last_round)
            if stopped or not run.missing:
                break
        else:
            run.note(notes.rounds_used_up(run.missing, request.rounds))
        if run.cut_off:
            run.note(notes.cut_off(run.cut_off))

        record = record_run(run, seconds, time.perf_counter() - started)
        publish(request.out, record)
        watch(request.out, record)
    return record
