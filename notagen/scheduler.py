"""Continuous batching for one call of ``generate``: queue, slots, finished pieces.

All slots advance together, patch by patch. A slot whose piece has ended takes the next request at
the next patch. A slot whose context was cut or whose line was refused is prefilled from the first
patch that changed; nothing else is computed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from scoregate.abc.finish import undeclared_voices
from scoregate.errors import GenerationError
from scoregate.generator import Ended, Generation, Interrupted, Progress
from scoregate.notagen.backends.backend import Backend, NotFiniteError
from scoregate.notagen.backends.device import is_out_of_memory
from scoregate.notagen.draft import Draft, Rules
from scoregate.notagen.requests import PieceRequest
from scoregate.notagen.sounding import Listener
from scoregate.notagen.text.patches import Patch
from scoregate.sampling import Sampling


class Scheduler:
    """Generates the pieces of one call.

    Parameters
    ----------
    backend : Backend
    requests : list of PieceRequest
    rules : Rules
    sampling : Sampling
    on_progress : callable or None

    Attributes
    ----------
    queue : list of int
        Requests that wait, by index.
    active : dict of int to (int, Draft)
        For each slot in use: its request and its draft.
    pieces : dict of int to Generation
        Finished pieces by request.
    """

    def __init__(
        self,
        backend: Backend,
        requests: list[PieceRequest],
        rules: Rules,
        sampling: Sampling,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.backend = backend
        self.requests, self.rules, self.sampling = requests, rules, sampling
        self.on_progress = on_progress
        self.began = time.monotonic()
        self.pieces: dict[int, Generation] = {}
        self.queue = list(range(len(requests)))
        self.active: dict[int, tuple[int, Draft]] = {}
        self.notes: list[str] = []
        self.listeners: dict[int, Listener] = {}  # by request, where the weights are told
        # Totals of the finished pieces, so that they need not be added up at every step.
        self.bars = self.forced_bars = self.patches = 0

    def run(self, slots: int) -> list[Generation]:
        """Generate all pieces with at most so many slots.

        Raises
        ------
        GenerationError, Interrupted
            See :meth:`scoregate.notagen.engine.Engine.generate`.
        """
        try:
            self._open(slots)
            while self.queue or self.active:
                self._fill_slots()
                if self.active:
                    self._step()
                self._report()
        except KeyboardInterrupt:
            for slot in list(self.active):
                self._close(slot, "stopped")
            raise Interrupted([self.pieces[i] for i in sorted(self.pieces)]) from None
        finally:
            self.backend.close()
        return [self.pieces[i] for i in range(len(self.requests))]

    def _open(self, slots: int) -> None:
        while True:
            try:
                self.backend.open(slots)
                return
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                fewer = self._reduce(slots, slots // 2, error)
            slots = fewer

    def _reduce(self, slots: int, fewer: int, error: Exception) -> int:
        """Note that memory holds only ``fewer`` slots; raise where it holds none."""
        self.backend.close()
        if fewer < 1:
            raise GenerationError(
                "Memory ran out for a single piece.",
                "Take smaller weights, a lower precision, or a machine with more memory.",
            ) from error
        self.notes.append(f"Memory ran out with {slots} pieces side by side; went on with {fewer}.")
        return fewer

    def _fill_slots(self) -> None:
        """Give waiting requests to free slots."""
        for slot in range(self.backend.slots):
            while slot not in self.active and self.queue:
                index = self.queue.pop(0)
                self.active[slot] = (index, self.requests[index].draft(self.rules))
                if self.active[slot][1].ended:
                    self._close(slot)

    def _step(self) -> None:
        """Sample the next patch of every piece, with fewer slots where memory runs out."""
        # Drawn once: a piece whose patch is tried again keeps its random numbers.
        numbers = {index: draft.uniforms() for index, draft in self.active.values()}
        while True:
            try:
                self._update_caches()
                sampled = self._sample(numbers)
                break
            except NotFiniteError as error:
                self._fail(error)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                slots = self.backend.slots
                fewer = self._reduce(slots, min(slots // 2, max(len(self.active) // 2, 1)), error)
            self._open(fewer)
            self._return_slots()
        for slot, patch in sampled.items():
            draft = self.active[slot][1]
            draft.advance(patch)
            if draft.ended:
                self._close(slot)

    def _update_caches(self) -> None:
        """Decode or prefill what is new in each slot's draft."""
        decoding: list[int] = []
        for slot, (_, draft) in self.active.items():
            last = len(draft.patches) - 1
            if draft.cached > last and not draft.rewound:
                continue
            # A slot that was rewound has lost the output for its last patch: compute it again.
            start = min(draft.cached, last)
            if start == last:
                decoding.append(slot)
            else:
                self.backend.prefill(slot, start, draft.patches[start:])
                draft.mark_cached()
        if decoding:
            drafts = [self.active[slot][1] for slot in decoding]
            positions = [len(draft.patches) - 1 for draft in drafts]
            self.backend.decode(decoding, positions, [draft.patches[-1] for draft in drafts])
            for draft in drafts:
                draft.mark_cached()

    def _sample(self, numbers: dict[int, np.ndarray]) -> dict[int, Patch]:
        """Return the next patch of each slot."""
        slots = sorted(self.active)
        if not slots:
            return {}
        entries = [self.active[slot] for slot in slots]
        starts = [draft.start for _, draft in entries]
        uniforms = [numbers[index] for index, _ in entries]
        listeners = self._listeners(entries) if self.backend.shape.sounding else ()
        sampled = self.backend.sample(slots, starts, uniforms, self.sampling, listeners)
        return {slot: tuple(patch) for slot, patch in zip(slots, sampled.tolist(), strict=True)}

    def _listeners(self, entries: list[tuple[int, Draft]]) -> list[Listener]:
        """Return what each draft sounds like so far."""
        found = []
        for index, draft in entries:
            listener = self.listeners.setdefault(index, Listener())
            listener.follow(draft.before_patch)
            found.append(listener)
        return found

    def _return_slots(self) -> None:
        """Fit the pieces into fewer slots; the later ones start again when a slot is free."""
        # In the order of the requests: pieces that have begun come before those that have not.
        active = sorted(self.active.values(), key=lambda entry: entry[0])
        self.queue[:0] = [index for index, _ in active[self.backend.slots :]]
        self.active = dict(enumerate(active[: self.backend.slots]))
        for _, draft in self.active.values():
            draft.cached = 0

    def _fail(self, error: NotFiniteError) -> None:
        """End the pieces whose logits are not finite; the others go on.

        Where nothing has been sampled yet the weights are at fault, and the call ends.
        """
        if not self.patches and not any(draft.sampled for _, draft in self.active.values()):
            raise error
        slots = sorted(self.active)
        for row in error.rows:
            self._close(slots[row], "failed", f"{error.problem} {error.remedy}")

    def _close(self, slot: int, ended: Ended | None = None, note: str | None = None) -> None:
        """Turn a slot's draft into a piece, and free the slot."""
        index, draft = self.active[slot]
        if ended:
            draft.stop(ended)
        assert draft.ended is not None
        notes = [note] if note else []
        if voices := undeclared_voices(draft.raw):
            notes.append(
                f"The model wrote for voices that the forced header does not declare: "
                f"{', '.join(voices)}."
            )
        self.pieces[index] = Generation(
            raw=draft.raw,
            ended=draft.ended,
            seed=draft.seed,
            steps=draft.sampled,
            bars=draft.bars,
            resampled_lines=draft.resampled_lines,
            refused_lines=draft.refused_lines,
            steps_back=draft.retries.steps_back,
            characters_drawn=draft.drawn,
            characters_kept=draft.kept,
            context_cuts=draft.cuts,
            seconds=draft.seconds,
            notes=(*self.requests[index].notes, *self.notes, *notes),
        )
        self.listeners.pop(index, None)
        # Only now: Ctrl-C may come at any time, and no piece may be lost to it.
        del self.active[slot]
        self.bars += draft.bars
        self.forced_bars += draft.forced_bars
        self.patches += draft.sampled

    def _report(self) -> None:
        if self.on_progress is None:
            return
        drafts = dict(self.active.values())
        progress = Progress(
            done=len(self.pieces),
            total=len(self.requests),
            bars=self.bars + sum(d.bars for d in drafts.values()),
            steps=self.patches + sum(d.sampled for d in drafts.values()),
            seconds=time.monotonic() - self.began,
            pieces={i: (d.bars, d.total_bars) for i, d in sorted(drafts.items())},
            unit="patches",
        )
        progress.left = self._seconds_left(progress, list(drafts.values()))
        self.on_progress(progress)

    def _seconds_left(self, progress: Progress, drafts: list[Draft]) -> float | None:
        """Estimate the seconds that remain from the bars that remain and the pace so far.

        Forced bars take no time, and ``max_steps`` says when a piece ends at the latest.
        """
        written = progress.bars - self.forced_bars - sum(d.forced_bars for d in drafts)
        if written <= 0:
            return None
        estimates = []
        totals = [d.total_bars for d in drafts if d.total_bars]
        known = self.bars + sum(totals)
        if known:
            mean = known / (progress.done + len(totals))
            remaining = sum(max((d.total_bars or mean) - d.bars, 0) for d in drafts)
            bars = remaining + mean * len(self.queue)
            estimates.append(bars * progress.seconds / written)
        most = self.rules.limits.max_steps
        if most is not None:
            patches = sum(most - d.sampled for d in drafts) + most * len(self.queue)
            estimates.append(patches * progress.seconds / progress.steps)
        return min(estimates, default=None)
