"""A pool of processes that survives an item which kills its process.

A worker process that dies (memory runs out, a C library crashes) breaks its whole pool. A new
pool is then started, and the items that were in work are tried again one at a time, so that
only the item at fault gets no result of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pool(Generic[Item, Result]):
    """Processes that work through chunks of items.

    Parameters
    ----------
    work : callable
        Takes a list of items, returns as many results; importable, since it is sent to
        other processes by name.
    on_death : callable
        Takes the item that killed a process, returns its result.
    processes : int
    preload : sequence of str
        Modules that the processes import once before they start working.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], list[Result]],
        on_death: Callable[[Item], Result],
        processes: int,
        preload: Sequence[str] = (),
    ) -> None:
        self._work = work
        self._on_death = on_death
        self._processes = processes
        # Not fork: the caller has threads (Prefect's), whose locks a fork would copy.
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._executor = self._made()

    def __enter__(self) -> Pool[Item, Result]:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _made(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._processes, mp_context=self._context)

    def map(self, chunks: Sequence[list[Item]]) -> Iterator[list[Result]]:
        """Yield the results of each chunk when it is done, in any order."""
        suspects = yield from self._pass(chunks)
        # Any item in work may have killed its process: try them one at a time.
        for chunk in suspects:
            for item in chunk:
                alone = yield from self._pass([[item]])
                if alone:
                    yield [self._on_death(item)]

    def _pass(self, chunks: Sequence[list[Item]]):
        waiting: dict[Future[list[Result]], list[Item]] = {}
        left = list(chunks)
        lost: list[list[Item]] = []
        while left or waiting:
            while left and len(waiting) < 2 * self._processes:
                chunk = left.pop(0)
                try:
                    waiting[self._executor.submit(self._work, chunk)] = chunk
                except BrokenProcessPool:
                    left.insert(0, chunk)
                    break
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            broken = not waiting
            for future in done:
                chunk = waiting.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    broken = True
                    lost.append(chunk)
            if broken:
                lost.extend(waiting.values())
                waiting.clear()
                self._executor.shutdown(wait=False, cancel_futures=True)
                self._executor = self._made()
        return lost
