"""Drafts of the pieces of a run: recorded as they are drawn, and one chosen for each piece."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from scoregate.archive.production import ProductionRun
from scoregate.archive.round_work import read_generation
from scoregate.generation.drafts import choose
from scoregate.generator import Generation


class Drafts:
    """Takes in the drafts of a run, and chooses a piece when all of its drafts are there.

    A draft is in the journal before one is chosen, so a run that was killed resamples none.

    Parameters
    ----------
    run : ProductionRun
        One that was gone on with may have pieces whose drafts are all there: they are chosen now.
    """

    def __init__(self, run: ProductionRun) -> None:
        self._run = run
        self._count = run.request.drafts or 1
        self._lock = Lock()
        if run.work is not None:
            self._choose(list(run.work.drafts))

    def record(self, written: Sequence[tuple[int, Generation]]) -> None:
        """Record drafts by their keys, see `RoundWork.undrawn`; choose where all are there."""
        placed = [(*divmod(key, self._count), draft) for key, draft in written]
        with self._lock:
            self._run.record_drafts(placed)
            self._choose(sorted({index for index, _, _ in placed}))

    def settle(self, unfinished: Sequence[tuple[int, Generation]]) -> list[tuple[int, Generation]]:
        """Choose among the drafts there are, after the run was stopped.

        Parameters
        ----------
        unfinished : sequence of (int, Generation)
            Drafts that were not finished, by their keys.

        Returns
        -------
        list of (int, Generation)
            For each piece of which no draft was finished, the first one as far as it came.
        """
        work = self._run.work
        assert work is not None, "a round is under way"
        with self._lock:
            self._choose(list(work.drafts), whole=False)
        first: dict[int, Generation] = {}
        for key, draft in sorted(unfinished, key=lambda each: each[0]):
            index = key // self._count
            if index not in work.generated and index not in work.rows:
                first.setdefault(index, draft)
        return list(first.items())

    def _choose(self, indexes: Sequence[int], whole: bool = True) -> None:
        """Record the best draft of each piece that has all of them, or any where not `whole`."""
        work = self._run.work
        assert work is not None, "a round is under way"
        chosen = []
        for index in indexes:
            drafts = work.drafts.get(index, {})
            if len(drafts) == self._count or (drafts and not whole):
                read = {number: read_generation(each) for number, each in drafts.items()}
                chosen.append((index, choose(read, self._run.request.style)))
        self._run.record_generated(chosen)
