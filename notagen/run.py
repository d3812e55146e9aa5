"""One call of ``generate``: prompts that wait, slots that write, pieces that are done.

All slots go forward patch by patch; a slot whose piece is over takes the next prompt, one
whose context was cut or whose line was refused reads again what changed, and nothing else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from notagen.accelerated import AcceleratedModel
from notagen.cached import CachedModel
from notagen.device import is_out_of_memory
from notagen.draft import Draft, Rules
from notagen.finish import finish
from notagen.generation import Generation, Progress
from notagen.opening import read_opening
from notagen.prompt import to_ascii
from notagen.sampling import Sampling, random_stream
from notagen.styles import Style
from scoregate.errors import GenerationError, RequestError


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during ``generate``; what was written by then is in ``pieces``.

    Finished pieces are whole; the others have ``ended`` set to ``'stopped'``.
    """

    def __init__(self, pieces: list[Generation]) -> None:
        super().__init__(f"stopped with {len(pieces)} pieces begun")
        self.pieces = pieces


class Request:
    """One piece that has been asked for."""

    def __init__(self, prompt: str | Style | None, seed: int, prefix: str | None) -> None:
        self.seed = seed
        text = prompt.prompt if isinstance(prompt, Style) else prompt
        self.notes: list[str] = []
        self.prompt = self._plain(text, "The prompt") if text is not None else ""
        if text is not None and not self.prompt.strip():
            raise RequestError(
                "A prompt is empty.",
                "Name a style, or pass None for weights that take no prompt.",
            )
        if self.prompt and not self.prompt.endswith("\n"):
            self.prompt += "\n"
        if prefix is not None:
            prefix = self._plain(prefix, "The forced text")
        self.opening = read_opening(prefix, prompted=bool(self.prompt))

    def _plain(self, text: str, what: str) -> str:
        plain = to_ascii(text)
        if not text.isascii():
            self.notes.append(f"{what} was transliterated to ASCII: {plain.strip()!r}")
        return plain

    def draft(self, rules: Rules) -> Draft:
        return Draft(self.prompt, self.seed, rules, self.opening)


def requests_of(
    prompts: Sequence[str | Style | None],
    seeds: Sequence[int] | None,
    prefix: str | Sequence[str | None] | None,
) -> list[Request]:
    if isinstance(prompts, (str, Style)):
        raise RequestError("The prompts must be a list.", "Put the one prompt into a list.")
    if not prompts:
        raise RequestError("There are no prompts.", "Give one for each piece.")
    if seeds is None:
        seeds = [secrets.randbits(32) for _ in prompts]
    if len(seeds) != len(prompts):
        raise RequestError(f"There are {len(prompts)} prompts and {len(seeds)} seeds.")
    for seed in seeds:
        random_stream(seed)
    prefixes = [prefix] * len(prompts) if prefix is None or isinstance(prefix, str) else prefix
    if len(prefixes) != len(prompts):
        raise RequestError(f"There are {len(prompts)} prompts and {len(prefixes)} prefixes.")
    return [Request(*each) for each in zip(prompts, seeds, prefixes, strict=True)]


class Run:
    """One call of ``generate``."""

    def __init__(
        self,
        model: CachedModel | AcceleratedModel,
        requests: list[Request],
        rules: Rules,
        sampling: Sampling,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.model = model
        self.requests, self.rules, self.sampling = requests, rules, sampling
        self.on_progress = on_progress
        self.began = time.monotonic()
        self.pieces: dict[int, Generation] = {}
        self.waiting = list(range(len(requests)))
        self.active: dict[int, tuple[int, Draft]] = {}  # slot: piece, draft
        self.notes: list[str] = []

    def write(self, slots: int) -> list[Generation]:
        try:
            self._open(slots)
            while self.waiting or self.active:
                self._fill()
                self._read()
                self._draw()
                self._report()
        except KeyboardInterrupt:
            for slot in list(self.active):
                self._close(slot, "stopped")
            raise Interrupted([self.pieces[i] for i in sorted(self.pieces)]) from None
        finally:
            self.model.close()
        return [self.pieces[i] for i in range(len(self.requests))]

    def _open(self, slots: int) -> None:
        while True:
            try:
                self.model.open(slots)
                return
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self._shrink(slots)
            slots //= 2

    def _shrink(self, slots: int) -> None:
        """Say that fewer pieces fit, or that not even one does."""
        self.model.close()
        if slots < 2:
            raise GenerationError(
                "Memory ran out for a single piece.",
                "Take smaller weights, a lower precision, or a machine with more memory.",
            )
        self.notes.append(f"Memory ran out with {slots} pieces side by side; went on with half.")

    def _fill(self) -> None:
        """Give waiting prompts to free slots."""
        for slot in range(self.model.slots):
            while slot not in self.active and self.waiting:
                piece = self.waiting.pop(0)
                self.active[slot] = (piece, self.requests[piece].draft(self.rules))
                if self.active[slot][1].ended:
                    self._close(slot)

    def _read(self) -> None:
        """Have every slot read what is new in its draft."""
        try:
            self._read_new()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._halve()
            self._read_new()

    def _read_new(self) -> None:
        stepping: list[int] = []
        for slot, (_, draft) in self.active.items():
            last = len(draft.patches) - 1
            if draft.stable > last and not draft.rewound:
                continue
            # A rewound slot has lost the output behind its last patch: read that again.
            first = min(draft.stable, last)
            if first == last:
                stepping.append(slot)
            else:
                self.model.read(slot, first, draft.patches[first:])
                draft.synced()
        if stepping:
            drafts = [self.active[slot][1] for slot in stepping]
            places = [len(draft.patches) - 1 for draft in drafts]
            self.model.step(stepping, places, [draft.patches[-1] for draft in drafts])
            for draft in drafts:
                draft.synced()

    def _halve(self) -> None:
        """Go on with half as many slots; the pieces that lose theirs begin anew later."""
        slots = self.model.slots
        drafts = dict(sorted(self.active.items()))
        self._shrink(slots)
        slots //= 2
        self.model.open(slots)
        for slot in list(drafts)[slots:]:
            piece, _ = self.active.pop(slot)
            self.waiting.insert(0, piece)
        self.active = dict(enumerate(self.active.values()))
        for _, draft in self.active.values():
            draft.stable = 0

    def _draw(self) -> None:
        if not self.active:
            return
        slots = sorted(self.active)
        drafts = [self.active[slot][1] for slot in slots]
        drawn = self.model.write(
            slots, [d.start for d in drafts], [d.uniforms() for d in drafts], self.sampling
        )
        for slot, draft, codes in zip(slots, drafts, drawn.tolist(), strict=True):
            draft.take(tuple(codes))
            if draft.ended:
                self._close(slot)

    def _close(self, slot: int, ended: Any = None) -> None:
        """Turn a slot's draft into a piece."""
        piece, draft = self.active.pop(slot)
        if ended:
            draft.stop(ended)
        assert draft.ended is not None
        self.pieces[piece] = Generation(
            raw=draft.raw,
            text=finish(draft.raw, whole=draft.ended == "finished"),
            ended=draft.ended,
            seed=draft.seed,
            patches=draft.drawn,
            bars=draft.bars,
            redrawn_lines=draft.redrawn_lines,
            kept_lines=draft.kept_lines,
            cuts=draft.cuts,
            seconds=draft.seconds,
            notes=(*self.requests[piece].notes, *self.notes),
        )

    def _report(self) -> None:
        if self.on_progress is None:
            return
        drafts = dict(self.active.values())
        done = list(self.pieces.values())
        seconds = time.monotonic() - self.began
        self.on_progress(
            Progress(
                done=len(done),
                total=len(self.requests),
                bars=sum(p.bars for p in done) + sum(d.bars for d in drafts.values()),
                patches=sum(p.patches for p in done) + sum(d.drawn for d in drafts.values()),
                seconds=seconds,
                left=self._left(drafts, done, seconds),
                pieces={i: (d.bars, d.bars_in_all) for i, d in sorted(drafts.items())},
            )
        )

    def _left(
        self, drafts: dict[int, Draft], done: list[Generation], seconds: float
    ) -> float | None:
        """Estimate the seconds to come from the bars to come and the pace so far."""
        totals = [p.bars for p in done] + [d.bars_in_all for d in drafts.values() if d.bars_in_all]
        written = sum(p.bars for p in done) + sum(d.bars for d in drafts.values())
        if not totals or not written:
            return None
        usual = sum(totals) / len(totals)
        known = sum(max((d.bars_in_all or usual) - d.bars, 0) for d in drafts.values())
        return (known + usual * len(self.waiting)) * seconds / written
