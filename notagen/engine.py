"""The engine: weights on a device, ready to generate pieces side by side.

A call of ``generate`` is checked here and carried out by :mod:`scoregate.notagen.scheduler`; the
arithmetic is in :mod:`scoregate.notagen.backends`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch

from scoregate import __version__
from scoregate.errors import RequestError, WeightsError
from scoregate.form import VERSION as FORM_VERSION
from scoregate.generator import AcceptLine, Generation, Limits, Progress, Provenance
from scoregate.notagen.backends import make_backend
from scoregate.notagen.backends.cpu import torch_threads
from scoregate.notagen.backends.device import (
    Precision,
    choose_device,
    choose_precision,
    choose_threads,
    freed_blocks_returned,
    is_out_of_memory,
)
from scoregate.notagen.draft import Rules
from scoregate.notagen.model.shape import VOCABULARY
from scoregate.notagen.requests import piece_requests
from scoregate.notagen.scheduler import Scheduler
from scoregate.notagen.text.forced import ForcedAs
from scoregate.notagen.weights import Checkpoint, find, name_of, open_checkpoint, styles_of
from scoregate.sampling import Sampling
from scoregate.styles import Style

ENGINE_VERSION = "4"
"""Changes whenever the same weights, request and seed may give another text; so it does where the
rules change by which lines are resampled."""
DEFAULT_BATCH = 16
_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _reset_locks() -> None:
    """Unlock the engines of a forked child: the threads that held the locks are its parent's."""
    for engine in _engines:
        engine._reset_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_locks)


class Engine:
    """Weights on a device, ready to generate; a :class:`scoregate.generator.Generator`.

    Made by :func:`load`.

    Parameters
    ----------
    checkpoint : Checkpoint
    name : str
    device : str
    precision : {'fp32', 'bf16', 'fp16', 'int8'}
    threads : int
    adapt : bool
        Whether the number of threads follows what the machine has free.

    Attributes
    ----------
    shape : ModelShape
    styles : tuple of Style or None
        What the weights were trained on; None where they name no styles.
    forms : bool
        Whether the weights were trained to follow a form (:mod:`scoregate.form`).
    name : str
        ``chorales``, a release's name, or a file's without its ending.
    sha256 : str
        Of the weight file, 64 hex digits.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    precision : str
        ``fp32``, ``bf16``, ``fp16`` or ``int8``.
    threads : int
        Most CPU threads used while generating.
    kernels : str
        What computes on a CPU: the instruction set of the compiled kernels, or ``none`` for
        PyTorch's operators (see :mod:`scoregate.notagen.backends.selection`), as on other devices.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        name: str,
        device: str,
        precision: Precision,
        threads: int,
        adapt: bool = False,
    ) -> None:
        self.shape = checkpoint.shape
        self.styles: tuple[Style, ...] | None = styles_of(checkpoint)
        self.forms = checkpoint.metadata.get("forms") == str(FORM_VERSION)
        self.name = name
        self.sha256 = checkpoint.sha256()
        self.device, self.precision, self.threads = device, precision, threads
        self._reset_lock()
        _engines.add(self)
        with torch_threads(threads), freed_blocks_returned():
            self._backend = make_backend(
                checkpoint.shape, checkpoint.read(), device, precision, threads, adapt
            )
        self.kernels = self._backend.kernels

    def _reset_lock(self) -> None:
        self._lock = threading.Lock()
        self._lock_holder: int | None = None

    def provenance(self) -> Provenance:
        """Return what identifies this engine."""
        return Provenance(
            generator="notagen",
            weights=self.name,
            sha256=self.sha256,
            shape=self.shape.as_dict(),
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            kernels=self.kernels,
            engine=ENGINE_VERSION,
            scoregate=__version__,
            torch=torch.__version__,
        )

    # More than six parameters, most of its lines the docstring: the public call with its options.
    def generate(
        self,
        prompts: Iterable[str | Style | None],
        *,
        seeds: Iterable[int] | None = None,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        prefix: str | Iterable[str | None] | None = None,
        prefix_as: ForcedAs = "opening",
        accept_line: AcceptLine | None = None,
        allow_untrained: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> list[Generation]:
        r"""Generate one piece for each prompt.

        Calls from several threads wait for each other.

        Parameters
        ----------
        prompts : iterable of str, Style or None
            Prompt lines (``%Baroque\n%Bach, Johann Sebastian\n%Choral\n``) or styles
            (``Baroque/Bach, Johann Sebastian/Choral``); None for no prompt, as the pre-trained
            weights take it. Other text than ASCII is transliterated, and control codes are
            left out; the piece's ``notes`` say so.
        seeds : iterable of int, optional
            One for each prompt, 0 to 2**32 - 1; drawn at random by default. On a CPU a seed gives
            the same text alone and in any batch (in fp32 only where no kernels are compiled);
            on other devices texts agree until rounding changes a sampled character.
        sampling : Sampling, optional
            ``top_k`` is at most 128, the number of characters.
        limits : Limits, optional
            A step is a patch of up to 16 characters. The batch has 16 pieces by default, and is
            halved where memory runs out.
        prefix : str or iterable of str, optional
            Text forced on all pieces or on each: see :mod:`scoregate.notagen.text.forced`.
        prefix_as : {'opening', 'voice'}
            ``voice``: the bars of ``prefix`` are one voice, which is the first one of the whole
            piece; the model writes the others, and the piece ends with the last given bar.
        accept_line : callable, optional
            ``accept_line(text_so_far, line)`` is asked about each body line; a refused line is
            removed and resampled with its counter forced.
        allow_untrained : bool
            False refuses prompts that the weights were not trained on, where they name what they
            were trained on (``styles``), as the command line does unless told otherwise. True
            generates, and the piece's ``notes`` say so. The beginning of a trained prompt counts
            as trained.
        on_progress : callable, optional
            Called with a :class:`scoregate.generator.Progress` after each patch of the batch.

        Returns
        -------
        list of Generation
            In the order of the prompts.

        Raises
        ------
        RequestError
            A wrong value, an empty prompt, one the weights were not trained on where that isn't
            allowed, a form where they were not trained on forms, another number of seeds than
            prompts, or a prompt and header that leave the music no room; nothing has been
            generated then.
        GenerationError
            The model gave NaN or infinite logits from the start, or memory ran out for a single
            piece. Where only some pieces fail later, those are ``failed``.
        Interrupted
            Ctrl-C; carries the pieces.
        Exception
            Whatever ``accept_line`` or ``on_progress`` raise ends the call.
        """
        sampling, limits = sampling or Sampling(), limits or Limits()
        if sampling.top_k > VOCABULARY:
            raise RequestError(
                f"top_k = {sampling.top_k} is not valid: there are {VOCABULARY} characters.",
                f"Take a whole number from 1 to {VOCABULARY}, or 0 to keep all.",
            )
        for name, function in (("accept_line", accept_line), ("on_progress", on_progress)):
            if function is not None and not callable(function):
                raise RequestError(f"{name} = {function!r:.80} can't be called.", "Leave it out.")
        rules = Rules(self.shape.length, limits, accept_line)
        requests = piece_requests(prompts, seeds, prefix, prefix_as)
        for request in requests:
            request.check_room(self.shape.length)
            if self.styles is not None:
                request.check_style(self.styles, allow_untrained)
            if not self.forms:
                request.refuse_form(self.name)
        slots = min(limits.batch_size or DEFAULT_BATCH, len(requests))
        with self._alone(), self._backend.threads_in_use(), torch.inference_mode():
            scheduler = Scheduler(self._backend, requests, rules, sampling, on_progress)
            return scheduler.run(slots)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one call generate at a time: the backend holds one batch."""
        if self._lock_holder == threading.get_ident():
            raise RequestError(
                "This engine is generating already, and was called from accept_line or "
                "on_progress.",
                "Load another engine for what they generate.",
            )
        with self._lock:
            self._lock_holder = threading.get_ident()
            try:
                yield
            finally:
                self._lock_holder = None


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
        None or ``embedded`` for the embedded model; the name of a release that has been fetched
        (``small``, ``medium``, ``large``, ``finetuned``, ``rl1`` to ``rl3``, ``x``); or a
        ``.safetensors`` or ``.pth`` file.
    device : {'auto', 'cpu', 'cuda', 'cuda:1', 'mps'}
        ``auto`` takes CUDA where it is and the CPU otherwise; ``cuda:1`` is the second one.
        Weights that are told what sounds run on the CPU only.
    precision : {'fp32', 'bf16', 'fp16', 'int8', 'auto'}
        ``fp32`` is exact on the CPU; ``int8`` is for the CPU and ``fp16`` for the others
        only. ``auto`` is bf16 on CUDA and fp32 elsewhere.
    threads : int, optional
        Number of CPU threads, 1 to 1024, but no more than there are cores. By default as many as
        pay for weights of this size, and at every patch as many of them as pay beside the
        machine's other work. With compiled kernels the number changes no text.

    Returns
    -------
    Engine

    Raises
    ------
    WeightsError, UnreadableError
        Missing, damaged or foreign weights, or more of them than there is memory for.
    RequestError
        An unknown name, device or precision, or a wrong number of threads.
    """
    path = find(name_or_path)
    checkpoint = open_checkpoint(path)
    chosen = choose_device(device)
    if checkpoint.shape.sounding and chosen != "cpu":
        # Such weights are small; what sounds is read off the text at every character.
        if device != "auto":
            raise RequestError(
                f"{name_of(path)} is told what sounds, which is computed on the CPU only.",
                "Take device cpu, or auto.",
            )
        chosen = "cpu"
    try:
        return Engine(
            checkpoint,
            name_of(path),
            chosen,
            choose_precision(precision, chosen),
            choose_threads(threads, checkpoint.shape),
            adapt=threads is None,
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise WeightsError(
            f"Memory ran out while {path} was loaded.",
            "Take a lower precision (bf16 needs half of fp32's memory, int8 a quarter), smaller "
            "weights, or a machine with more memory.",
        ) from error
