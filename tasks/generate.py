"""Generate a batch of pieces, in processes of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate import styles
from scoregate.archive.production import ProductionRun
from scoregate.generation.writers import Writers
from scoregate.generation.writing import engine_of, origin_of
from scoregate.piece import Batch, Piece
from scoregate.progress import report
from scoregate.requests import ProduceRequest
from scoregate.tasks.drafts import Drafts
from scoregate.timing import spent

BATCH = 256
"""Pieces of one batch: enough that Prefect's record of its tasks is 2 kB a piece at most."""


@task(name="load generator", cache_policy=NO_CACHE)
def load_generator(writers: Writers) -> tuple[ProduceRequest, dict[str, Any]]:
    """Load the weights in a process of their own and check the request against them.

    Returns
    -------
    request : ProduceRequest
        With its style in full; its seed may still be None.
    engine : dict
        What identifies the generator: see :func:`scoregate.generation.writing.engine_of`.

    Raises
    ------
    RequestError
        An unknown generator or style, or a style that these weights were not trained on.
    WeightsError
    """
    with spent("load"):
        name = Path(writers.request.weights or "embedded").name
        report("loading weights", 0, 1, name)
        writers.load()
        report("loading weights", 1, 1, name)
        trained = (
            None if writers.styles is None else [styles.parse(each) for each in writers.styles]
        )
        request = writers.request.in_full(trained)
        return request, engine_of(request, writers.provenance, writers.styles)


@task(name="generate", task_run_name="generate round {number}", cache_policy=NO_CACHE)
def generate(
    writers: Writers, run: ProductionRun, number: int, indexes: Batch[int]
) -> tuple[Batch[Piece], bool]:
    """Wait for the pieces of a batch; return them, and whether Ctrl-C cut the work short.

    Finished pieces are recorded in the run's journal by then. With quality best a piece is the
    one that was chosen among its drafts. The pieces of the next batch are handed out as well, so
    that they are generated while these are judged and rendered. A piece
    that the model did not end is returned too; no verdict lets it pass. After Ctrl-C all pieces
    are returned that are finished, and those of which at least one bar was written by then.

    Parameters
    ----------
    writers : Writers
    run : ProductionRun
    number : int
        Number of the round under way.
    indexes : Batch of int
        The pieces, by their index in the round.
    """
    with spent("generate"):
        work = run.work
        assert work is not None, "a round is under way"
        stopped = False
        origin = origin_of(writers.request, run.record.engine)
        ahead = work.unarchived
        ahead = [each for each in ahead if indexes[0] <= each < indexes[-1] + 1 + BATCH]
        count = run.request.drafts or 1
        writers.submit(work.undrawn(ahead, count))
        unfinished: list[Piece] = []
        try:
            writers.wait([index * count + each for index in indexes for each in range(count)])
            found = list(indexes)
        except KeyboardInterrupt:
            stopped = True
            left = writers.stop()
            if run.request.quality == "best":
                left = Drafts(run).settle(left)
            unfinished = [
                Piece(writers.request.style, number, each, origin, index) for index, each in left
            ]
            found = sorted(work.generated)
        pieces = [work.piece(index, writers.request.style, origin) for index in found]
        return Batch([*pieces, *unfinished]), stopped
