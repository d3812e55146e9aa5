"""Work spread over processes, which a piece that kills its process can't stop.

A worker that dies (out of memory, a crash in a C library) breaks its whole pool. The pool
is then made anew and what was under way is tried again piece by piece, so that only the
piece at fault is left over.
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
        """Yield the results of each chunk as it is done, in any order."""
        suspects = yield from self._pass(chunks)
        # After a death nobody knows whose fault it was: one item at a time, one process.
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
