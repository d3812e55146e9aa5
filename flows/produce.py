"""The production line: draw pieces, gate them, draw the missing ones again, archive the rest.

What fails is drawn anew in the next round with new seeds, until the count is reached or
the rounds are used up. A round is a batch: one task a step handles all its pieces.
"""

from __future__ import annotations

import time

from prefect import flow
from prefect.logging import get_run_logger

from scoregate.archive.records import RunRecord
from scoregate.progress import report as progress
from scoregate.requests import ProduceRequest
from scoregate.seeds import seeds_of_round
from scoregate.tasks.archive import begin_run, file_pieces, record_run
from scoregate.tasks.gates import pass_gate, read
from scoregate.tasks.generate import generate, load_engine
from scoregate.tasks.judge import judge
from scoregate.tasks.publish import publish
from scoregate.tasks.render import render
from scoregate.timing import ledger
from scoregate.validators.examine import PRODUCTION


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
    with ledger() as seconds:
        request, seed, engine = load_engine(request)
        run = begin_run(request, engine)
        if engine["trained_style"] is False:
            run.note(f"These weights were not trained on the style {request.style}.")
        elif engine["trained_style"] is None:
            run.note(
                f"These weights name no styles: whether they were trained on {request.style} "
                "is not known."
            )

        for number in range(1, request.rounds + 1):
            progress("pieces", request.count - run.missing, request.count, f"round {number}")
            seeds = seeds_of_round(seed, number, run.missing)
            drafts, stopped = generate(request, number, seeds)
            if stopped:
                run.note(
                    f"Stopped by hand in round {number}: finished pieces were judged as ever, "
                    "and unfinished ones are kept among those that did not pass."
                )
            if not drafts:
                break
            scores = read(drafts)
            outcomes = {gate: pass_gate(gate, scores, request.style) for gate in PRODUCTION}
            verdicts = judge(drafts, scores, outcomes)
            renderings = render(request, scores, verdicts)
            run = file_pieces(run, number, drafts, verdicts, renderings)
            log.info("Round %d: %s", number, run.last_round)
            if stopped or not run.missing:
                break
        else:
            run.note(
                f"{run.missing} missing: the rounds ({request.rounds}) are used up. What passed is "
                "archived; allow more rounds, or try another temperature."
            )
        if run.cut_off:
            run.note(
                f"{run.cut_off} cut off by max-patches or max-minutes: allow more, or take a "
                "lower precision or a faster machine."
            )
        record = record_run(run, seconds, time.perf_counter() - started)
        publish(request.out, record)
    return record
