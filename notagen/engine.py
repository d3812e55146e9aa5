"""The engine: weights, a device, and pieces written side by side.

``generate`` keeps a number of slots filled. All of them go forward patch by patch; a slot
whose piece is over takes the next prompt, one whose context was cut or whose line was refused
reads again what changed, and nothing else.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from notagen import weights
from notagen.accelerated import AcceleratedModel
from notagen.cached import CachedModel
from notagen.checkpoint import Checkpoint, open_checkpoint
from notagen.device import (
    Precision,
    blocks_given_back,
    choose_device,
    choose_precision,
    choose_threads,
    is_out_of_memory,
)
from notagen.draft import AcceptLine, Draft, Rules
from notagen.finish import finish
from notagen.generation import Generation, Progress
from notagen.opening import read_opening
from notagen.prompt import to_ascii
from notagen.sampling import Sampling, random_stream
from notagen.styles import Style
from scoregate import __version__
from scoregate.errors import GenerationError, RequestError

ENGINE_VERSION = "1"
"""Changes whenever the same weights, request and seed may give another text."""
DEFAULT_BATCH = 16


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during ``generate``; what was written by then is in ``pieces``.

    Finished pieces are whole; the others have ``ended`` set to ``'time'``.
    """

    def __init__(self, pieces: list[Generation]) -> None:
        super().__init__(f"stopped with {len(pieces)} pieces begun")
        self.pieces = pieces


class Engine:
    """Weights on a device, ready to write. Made by :func:`load`.

    Attributes
    ----------
    shape : ModelShape
    styles : tuple of Style or None
        What the weights were trained on; None where they name no styles.
    name : str
    sha256 : str
        Of the weight file.
    device : str
        ``cpu``, ``cuda`` or ``mps``.
    precision : str
        ``fp32``, ``bf16``, ``fp16`` or ``int8``.
    threads : int
        CPU threads used while writing.
    """

    def __init__(
        self, checkpoint: Checkpoint, name: str, device: str, precision: Precision, threads: int
    ) -> None:
        self.shape = checkpoint.shape
        self.styles: tuple[Style, ...] | None = weights.styles_of(checkpoint)
        self.name = name
        self.sha256 = checkpoint.sha256()
        self.device, self.precision, self.threads = device, precision, threads
        with _threads(threads), blocks_given_back():
            self._model: CachedModel | AcceleratedModel
            if device == "cpu":
                self._model = CachedModel(checkpoint.shape, checkpoint.read(), precision)
            else:
                self._model = AcceleratedModel(
                    checkpoint.shape, checkpoint.read(), device, precision
                )

    def provenance(self) -> dict[str, Any]:
        """Return what identifies this engine, JSON-ready."""
        return {
            "weights": {"name": self.name, "sha256": self.sha256},
            "shape": self.shape.as_dict(),
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
            "engine": ENGINE_VERSION,
            "scoregate": __version__,
            "torch": torch.__version__,
        }

    def generate(
        self,
        prompts: Sequence[str | Style | None],
        *,
        seeds: Sequence[int] | None = None,
        temperature: float = 1.2,
        top_k: int = 9,
        top_p: float = 0.9,
        max_patches: int | None = None,
        max_seconds: float | None = None,
        prefix: str | Sequence[str | None] | None = None,
        accept_line: AcceptLine | None = None,
        line_tries: int = 8,
        batch_size: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> list[Generation]:
        """Write one piece a prompt.

        Parameters
        ----------
        prompts : sequence of str, Style or None
            Prompt lines (``%Baroque\\n%Bach, Johann Sebastian\\n%Choral\\n``) or styles; None
            for no prompt, as the pre-trained weights take it. Other text than ASCII is
            transliterated, and the piece's ``notes`` say so.
        seeds : sequence of int, optional
            One a prompt, 0 to 2**32 - 1; drawn where left out. In fp32 on a CPU a seed gives
            the same text alone and in any batch; elsewhere texts agree until rounding tips
            a draw.
        temperature, top_k, top_p
            See :class:`notagen.sampling.Sampling`.
        max_patches : int, optional
            Most patches drawn for a piece.
        max_seconds : float, optional
            Most seconds for a piece. What comes out then depends on the machine's speed.
        prefix : str or sequence of str, optional
            Text forced on all pieces or on each: see :mod:`notagen.opening`.
        accept_line : callable, optional
            ``accept_line(text_so_far, line)`` judges each body line; a refused one is
            rewound and drawn again with its counter forced.
        line_tries : int
            How often one line is drawn again before it is kept as it is.
        batch_size : int, optional
            Most pieces side by side; halved where memory runs out.
        on_progress : callable, optional
            Called with a :class:`notagen.generation.Progress` after each step.

        Returns
        -------
        list of Generation
            In the order of the prompts.

        Raises
        ------
        RequestError
            A wrong value, an empty prompt, or another number of seeds than prompts.
        GenerationError
            The model gave NaN or infinite logits, or memory ran out for a single piece.
        Interrupted
            Ctrl-C; carries the pieces.
        """
        sampling = Sampling(temperature, top_k, top_p)
        for name, value in (("max_patches", max_patches), ("max_seconds", max_seconds)):
            if value is not None and not value > 0:
                raise RequestError(f"{name} = {value} can't be: it must be above 0.")
        if line_tries < 0:
            raise RequestError(f"line_tries = {line_tries} can't be: it must be 0 or more.")
        if batch_size is not None and batch_size < 1:
            raise RequestError(f"batch_size = {batch_size} can't be: it must be 1 or more.")
        rules = Rules(self.shape.length, max_patches, max_seconds, accept_line, line_tries)
        requests = _requests(prompts, seeds, prefix)
        run = _Run(self, requests, rules, sampling, on_progress)
        with _threads(self.threads), torch.inference_mode():
            slots = min(batch_size or DEFAULT_BATCH, len(requests))
            return run.write(slots)


class _Request:
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


def _requests(
    prompts: Sequence[str | Style | None],
    seeds: Sequence[int] | None,
    prefix: str | Sequence[str | None] | None,
) -> list[_Request]:
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
    return [_Request(*each) for each in zip(prompts, seeds, prefixes, strict=True)]


class _Run:
    """One call of ``generate``."""

    def __init__(
        self,
        engine: Engine,
        requests: list[_Request],
        rules: Rules,
        sampling: Sampling,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.model = engine._model
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
                self._close(slot, "time")
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


def load(
    name_or_path: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: str = "fp32",
    threads: int | None = None,
) -> Engine:
    """Load weights and make an engine.

    Parameters
    ----------
    name_or_path : str, path or None
        None for the embedded model; the name of a release that has been fetched
        (``small``, ``medium``, ``large``, ``finetuned``, ``rl1`` to ``rl3``, ``x``); or a
        ``.safetensors`` or ``.pth`` file.
    device : {'auto', 'cpu', 'cuda', 'mps'}
        ``auto`` takes CUDA where it is and the CPU otherwise.
    precision : {'fp32', 'bf16', 'fp16', 'int8', 'auto'}
        ``fp32`` is exact on the CPU; ``int8`` is for the CPU and ``fp16`` for the others
        only. ``auto`` is bf16 on CUDA and fp32 elsewhere.
    threads : int, optional
        CPU threads while writing; by default as many as pay for weights of this size.

    Raises
    ------
    WeightsError, UnreadableError
        Missing, damaged or foreign weights.
    RequestError
        An unknown name, device or precision.
    """
    path = weights.find(name_or_path)
    checkpoint = open_checkpoint(path)
    chosen = choose_device(device)
    return Engine(
        checkpoint,
        Path(path).stem if name_or_path is not None else weights.EMBEDDED,
        chosen,
        choose_precision(precision, chosen),
        choose_threads(threads, checkpoint.shape),
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Use a number of threads for a while; the setting is the whole process's."""
    before = torch.get_num_threads()
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
