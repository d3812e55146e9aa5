"""One call of ``generate``: prompts that wait, slots that write, pieces that are done.

All slots go forward patch by patch; a slot whose piece is over takes the next prompt, one
whose context was cut or whose line was refused reads again what changed, and nothing else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable

import numpy as np

from scoregate.abc.finish import undeclared_voices
from scoregate.errors import GenerationError, RequestError
from scoregate.generator import Ended, Generation, Interrupted, Progress
from scoregate.notagen.backends.accelerator import AcceleratedModel
from scoregate.notagen.backends.backend import NotFiniteError
from scoregate.notagen.backends.cpu import CachedModel
from scoregate.notagen.backends.device import is_out_of_memory
from scoregate.notagen.draft import MOST_CHARACTERS, Draft, Rules
from scoregate.notagen.text.opening import read_opening
from scoregate.notagen.text.patches import encode
from scoregate.notagen.text.styles import PROMPT_END
from scoregate.sampling import Sampling, random_stream
from scoregate.styles import Style, parse, untrained
from scoregate.transliteration import to_ascii


class Request:
    """One piece that has been asked for."""

    def __init__(self, prompt: str | Style | None, seed: int, prefix: str | None) -> None:
        self.seed = seed
        self.notes: list[str] = []
        self.prompt = self._prompt(prompt)
        if prefix is not None:
            if not isinstance(prefix, str):
                raise RequestError(
                    f"{prefix!r:.80} is no forced text.", "Give a text for each piece, or None."
                )
            prefix = self._plain(prefix, "The forced text")
        open_prompt = bool(self.prompt) and not self.prompt.endswith(PROMPT_END)
        self.opening = read_opening(prefix, prompted=open_prompt)

    def _prompt(self, prompt: str | Style | None) -> str:
        """Return prompt lines, each with its newline; nothing for None."""
        if prompt is None:
            return ""
        if not isinstance(prompt, (str, Style)):
            raise RequestError(
                f"{prompt!r:.80} is no prompt.",
                "Give a style, prompt lines such as '%Baroque', or None for no prompt.",
            )
        text = prompt.prompt if isinstance(prompt, Style) else prompt
        plain = self._plain(text, "The prompt")
        if plain.strip() and not plain.lstrip().startswith("%"):
            plain = parse(plain).prompt
        lines = [line.strip() for line in plain.split("\n")]
        lines = [line for line in lines if line.strip("%")]
        for line in lines:
            if not line.startswith("%") or line.startswith("%%"):
                raise RequestError(
                    f"The prompt has the line {line!r:.80}; prompt lines begin with one %.",
                    "Header fields and bars are given as `prefix`.",
                )
        if not lines:
            said = "is empty" if not text.strip("% \r\n\t") else f"{text!r:.80} leaves no ASCII"
            raise RequestError(
                f"The prompt {said}.",
                "Name a style, or pass None for weights that take no prompt.",
            )
        return "".join(line + "\n" for line in lines)

    def _plain(self, text: str, what: str) -> str:
        plain = to_ascii(text)
        if not text.isascii():
            self.notes.append(f"{what} was transliterated to ASCII: {plain.strip()!r}")
        elif any(not char.isprintable() and char not in "\t\r\n" for char in text):
            self.notes.append(f"{what} held control codes, which were left out.")
        return plain

    def check_room(self, length: int) -> None:
        """Refuse what leaves no room for music.

        Parameters
        ----------
        length : int
            Patches that the model can attend to.

        Raises
        ------
        RequestError
        """
        given = self.prompt + self.opening.header + "".join(self.opening.fields)
        patches = len(encode(given))
        if patches >= length:
            raise RequestError(
                f"Prompt and forced header take {patches} patches of the {length} that the model "
                "can attend to, and the music has no room.",
                "Shorten them.",
            )
        if len(given) + sum(map(len, self.opening.bars)) > MOST_CHARACTERS:
            raise RequestError(
                f"The forced text is longer than {MOST_CHARACTERS:,} characters, which no piece "
                "may be.",
                "Take its last bars.",
            )

    def check_style(self, trained: Collection[Style], allow_untrained: bool) -> None:
        """Refuse a prompt that weights were not trained on, or note it where it is allowed.

        Raises
        ------
        RequestError
        """
        prompt = self.prompt.removesuffix(PROMPT_END)
        if any(style.prompt.startswith(prompt) for style in trained):
            return
        said = "/".join(line.removeprefix("%") for line in prompt.splitlines())
        error = untrained(said, trained, "allow_untrained=True")
        if not allow_untrained:
            raise error
        self.notes.append(error.problem)

    def draft(self, rules: Rules) -> Draft:
        return Draft(self.prompt, self.seed, rules, self.opening)


def requests_of(
    prompts: Iterable[str | Style | None],
    seeds: Iterable[int] | None,
    prefix: str | Iterable[str | None] | None,
) -> list[Request]:
    """Return one request a prompt.

    Raises
    ------
    RequestError
        No prompts, another number of seeds or prefixes, or a wrong one of them.
    """
    asked = _listed("prompts", prompts)
    if not asked:
        raise RequestError("There are no prompts.", "Give one for each piece.")
    numbers = [secrets.randbits(32) for _ in asked] if seeds is None else _listed("seeds", seeds)
    if prefix is None or isinstance(prefix, str):
        prefixes = [prefix] * len(asked)
    else:
        prefixes = _listed("prefix", prefix)
    for name, given in (("seeds", numbers), ("prefixes", prefixes)):
        if len(given) != len(asked):
            raise RequestError(
                f"There are {len(asked)} prompts and {len(given)} {name}.", "Give one a prompt."
            )
    for seed in numbers:
        random_stream(seed)
    return [
        Request(prompt, int(seed), text)
        for prompt, seed, text in zip(asked, numbers, prefixes, strict=True)
    ]


def _listed(name: str, values: Iterable) -> list:
    """Return values as a list, where they are values at all and no lone one."""
    if isinstance(values, (str, bytes, Style)) or not isinstance(values, Iterable):
        raise RequestError(f"{name} must be a list, with one a piece.", "Put a lone one into [ ].")
    return list(values)


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
        # Of the pieces that are done, so that a call with thousands need not count them anew.
        self.bars = self.forced_bars = self.patches = 0

    def write(self, slots: int) -> list[Generation]:
        try:
            self._open(slots)
            while self.waiting or self.active:
                self._fill()
                if self.active:
                    self._step()
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
                fewer = self._fewer(slots, slots // 2, error)
            slots = fewer

    def _fewer(self, slots: int, fewer: int, error: Exception) -> int:
        """Say that fewer pieces fit, or that not even one does."""
        self.model.close()
        if fewer < 1:
            raise GenerationError(
                "Memory ran out for a single piece.",
                "Take smaller weights, a lower precision, or a machine with more memory.",
            ) from error
        self.notes.append(f"Memory ran out with {slots} pieces side by side; went on with {fewer}.")
        return fewer

    def _fill(self) -> None:
        """Give waiting prompts to free slots."""
        for slot in range(self.model.slots):
            while slot not in self.active and self.waiting:
                piece = self.waiting.pop(0)
                self.active[slot] = (piece, self.requests[piece].draft(self.rules))
                if self.active[slot][1].ended:
                    self._close(slot)

    def _step(self) -> None:
        """Draw every piece's next patch, side by side as far as memory goes."""
        # Drawn once: a piece whose patch is tried again keeps its random numbers.
        numbers = {piece: draft.uniforms() for piece, draft in self.active.values()}
        while True:
            try:
                self._read()
                drawn = self._draw(numbers)
                break
            except NotFiniteError as error:
                self._fail(error)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                slots = self.model.slots
                fewer = self._fewer(slots, min(slots // 2, max(len(self.active) // 2, 1)), error)
            self._open(fewer)
            self._give_slots_back()
        for slot, codes in drawn.items():
            draft = self.active[slot][1]
            draft.take(codes)
            if draft.ended:
                self._close(slot)

    def _read(self) -> None:
        """Have every slot read what is new in its draft."""
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

    def _give_slots_back(self) -> None:
        """Fit the pieces into fewer slots; the later ones begin anew when a slot is free."""
        # In the order of the prompts, so that whatever has begun stands before what has not.
        active = sorted(self.active.values(), key=lambda entry: entry[0])
        self.waiting[:0] = [piece for piece, _ in active[self.model.slots :]]
        self.active = dict(enumerate(active[: self.model.slots]))
        for _, draft in self.active.values():
            draft.stable = 0

    def _fail(self, error: NotFiniteError) -> None:
        """Give up the pieces whose logits are not finite; the others go on.

        Where nothing has been written yet it is the weights, and the call ends.
        """
        if not self.patches and not any(draft.drawn for _, draft in self.active.values()):
            raise error
        slots = sorted(self.active)
        for row in error.rows:
            self._close(slots[row], "failed", f"{error.problem} {error.remedy}")

    def _draw(self, numbers: dict[int, np.ndarray]) -> dict[int, tuple[int, ...]]:
        """Return the next patch of each slot."""
        slots = sorted(self.active)
        if not slots:
            return {}
        entries = [self.active[slot] for slot in slots]
        starts = [draft.start for _, draft in entries]
        uniforms = [numbers[piece] for piece, _ in entries]
        drawn = self.model.write(slots, starts, uniforms, self.sampling)
        return {slot: tuple(codes) for slot, codes in zip(slots, drawn.tolist(), strict=True)}

    def _close(self, slot: int, ended: Ended | None = None, note: str | None = None) -> None:
        """Turn a slot's draft into a piece."""
        piece, draft = self.active[slot]
        if ended:
            draft.stop(ended)
        assert draft.ended is not None
        notes = [note] if note else []
        if self.requests[piece].opening is not None and (voices := undeclared_voices(draft.raw)):
            notes.append(
                f"The model wrote for voices that the forced header does not declare: "
                f"{', '.join(voices)}."
            )
        self.pieces[piece] = Generation(
            raw=draft.raw,
            ended=draft.ended,
            seed=draft.seed,
            steps=draft.drawn,
            bars=draft.bars,
            resampled_lines=draft.resampled_lines,
            refused_lines=draft.refused_lines,
            context_cuts=draft.cuts,
            seconds=draft.seconds,
            notes=(*self.requests[piece].notes, *self.notes, *notes),
        )
        # Only now: Ctrl-C may come at any time, and no piece may be lost to it.
        del self.active[slot]
        self.bars += draft.bars
        self.forced_bars += draft.forced_bars
        self.patches += draft.drawn

    def _report(self) -> None:
        if self.on_progress is None:
            return
        drafts = dict(self.active.values())
        seconds = time.monotonic() - self.began
        progress = Progress(
            done=len(self.pieces),
            total=len(self.requests),
            bars=self.bars + sum(d.bars for d in drafts.values()),
            steps=self.patches + sum(d.drawn for d in drafts.values()),
            seconds=seconds,
            pieces={i: (d.bars, d.bars_in_all) for i, d in sorted(drafts.items())},
            unit="patches",
        )
        progress.left = self._left(progress, list(drafts.values()))
        self.on_progress(progress)

    def _left(self, progress: Progress, drafts: list[Draft]) -> float | None:
        """Estimate the seconds to come from the bars to come and the pace so far.

        Forced bars cost no time, and ``max_patches`` says when the writing ends at the latest.
        """
        written = progress.bars - self.forced_bars - sum(d.forced_bars for d in drafts)
        if written <= 0:
            return None
        estimates = []
        totals = [d.bars_in_all for d in drafts if d.bars_in_all]
        named = self.bars + sum(totals)
        if named:
            usual = named / (progress.done + len(totals))
            known = sum(max((d.bars_in_all or usual) - d.bars, 0) for d in drafts)
            bars = known + usual * len(self.waiting)
            estimates.append(bars * progress.seconds / written)
        most = self.rules.limits.max_steps
        if most is not None:
            patches = sum(most - d.drawn for d in drafts) + most * len(self.waiting)
            estimates.append(patches * progress.seconds / progress.steps)
        return min(estimates, default=None)
