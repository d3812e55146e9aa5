"""Generators: what the production line needs of a model that writes scores.

A generator is loaded weights that turn prompts and seeds into pieces of ABC. Each kind of model
is a module (or any object) with two functions, ``load`` and ``trained_styles``; see
:class:`GeneratorFactory`. The built-in kinds are listed here and imported when they are asked
for. Other packages add theirs with an entry point::

    [project.entry-points."scoregate.generators"]
    mymodel = "mypackage.mymodel"

Importing this module is cheap: no generator and no torch is imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from scoregate.abc.finish import Finished, finish
from scoregate.errors import RequestError, ToolError
from scoregate.sampling import Sampling, is_number, whole_number
from scoregate.styles import Style

if TYPE_CHECKING:
    from scoregate.requests import ProduceRequest

ENTRY_POINTS = "scoregate.generators"
"""Entry-point group in which other packages register generators."""
_BUILT_IN = {"notagen": "scoregate.notagen", "lstm": "scoregate.lstm"}

Ended = Literal["finished", "length", "time", "stopped", "failed"]
"""Why a piece ended. ``finished``: the model ended it. ``length``: a limit of its length was
reached. ``time``: ``max_seconds`` were over. ``stopped``: the call was interrupted. ``failed``:
the model could not go on; ``notes`` say why."""

AcceptLine = Callable[[str, str], bool]
"""``accept_line(text_so_far, line)`` tells whether a finished body line may stay.

It may have a method ``accept_part(text_so_far, part)`` that tells whether the line that is being
written may go on. It is asked behind each voice, so that the rest of a line that will be refused
need not be sampled; a part that it refuses must be one of which ``accept_line`` would refuse every
line.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one call of ``generate``.

    Parameters
    ----------
    max_steps : int or None
        Most steps of the model for a piece: patches of up to 16 characters for NotaGen, tokens
        for other models. None for no limit.
    max_seconds : float or None
        Most seconds for a piece. The text then depends on the machine's speed.
    batch_size : int or None
        Most pieces generated side by side; None for the generator's own choice.
    line_tries : int
        How often one line is resampled before lines before it are removed as well.
    steps_back : int
        How often lines that had been accepted are removed from a piece, because the line after
        them was refused in all its tries. After that a refused line is kept.

    Raises
    ------
    RequestError
        A value outside its range.
    """

    max_steps: int | None = None
    max_seconds: float | None = None
    batch_size: int | None = None
    line_tries: int = 8
    steps_back: int = 16

    def __post_init__(self) -> None:
        bounds = {"max_steps": 1, "batch_size": 1, "line_tries": 0, "steps_back": 0}
        for name, least in bounds.items():
            value = getattr(self, name)
            if value is not None or not least:
                object.__setattr__(self, name, whole_number(name, value, least))
        seconds = self.max_seconds
        if seconds is not None and not (is_number(seconds) and seconds > 0):
            raise RequestError(
                f"max_seconds = {seconds!r} is not valid.", "Take a number above 0, or None."
            )


@dataclass(frozen=True)
class Generation:
    """One generated piece.

    Parameters
    ----------
    raw : str
        The text as the model wrote it.
    ended : {'finished', 'length', 'time', 'stopped', 'failed'}
    seed : int
    steps : int
        Steps of the model, those of resampled lines included: see :class:`Limits`.
    bars : int
        Bars written, each counted once for all voices.
    resampled_lines : int
        Lines that were removed and sampled again, and ends that came too early.
    refused_lines : int
        Lines that were still refused after the last try and stand in the text.
    steps_back : int
        How often lines that had been accepted were removed because of the line after them.
    characters_drawn, characters_kept : int
        Characters that the model wrote, and those of them that stand in the text; 0 where the
        generator does not count them.
    context_cuts : int
        How often the model's context was full and its older half was dropped.
    seconds : float
        From the piece's first step to its last, while others of its batch were generated too.
    notes : tuple of str
        Remarks for the user, such as a prompt that had to be transliterated.
    draft : mapping or None
        Of a draft that another may be preferred to, what was found in it, JSON-ready: see
        :func:`scoregate.generation.drafts.assess`.
    choice : mapping or None
        Of a piece that was chosen among drafts, how: see
        :func:`scoregate.generation.drafts.choose`.
    """

    raw: str
    ended: Ended
    seed: int
    steps: int
    bars: int
    resampled_lines: int = 0
    refused_lines: int = 0
    steps_back: int = 0
    characters_drawn: int = 0
    characters_kept: int = 0
    context_cuts: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    draft: Mapping[str, Any] | None = None
    choice: Mapping[str, Any] | None = None

    @cached_property
    def finished(self) -> Finished:
        """The piece as finished ABC, made when first asked for.

        Gates, renderers and archive all work on this text. A last line that is incomplete
        because the piece was stopped is left out.
        """
        return finish(self.raw, whole=self.ended == "finished")

    @property
    def text(self) -> str:
        """The text of the finished ABC."""
        return self.finished.text

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the texts as a JSON-ready dict.

        Draft and choice are left out where there are none.
        """
        values = asdict(self) | {"notes": list(self.notes)}
        absent = {name for name in ("draft", "choice") if values[name] is None}
        return {name: value for name, value in values.items() if name not in {"raw", *absent}}


@dataclass(slots=True)
class Progress:
    """How far a call of ``generate`` has come.

    Parameters
    ----------
    done, total : int
        Pieces finished and pieces asked for.
    bars, steps : int
        Bars and steps of all pieces so far.
    seconds : float
        Since the call began.
    left : float or None
        Estimate of the seconds that remain; None while there is nothing to estimate it from.
    pieces : dict of int to tuple of int
        For each piece in work, by its index: its bars, and the bars it will have or 0 where that
        is not known.
    unit : str
        What a step is called, in the plural.
    """

    done: int
    total: int
    bars: int
    steps: int
    seconds: float
    left: float | None = None
    pieces: dict[int, tuple[int, int]] = field(default_factory=dict)
    unit: str = "steps"

    def __str__(self) -> str:
        text = f"{self.bars} bars, {self.steps} {self.unit}"
        if self.left is None:
            return text
        return f"{text}, about {_duration(self.left)} left"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What identifies a loaded generator; stored with every piece.

    Parameters
    ----------
    generator : str
        Name under which :func:`find_generator` finds its kind.
    weights : str
        The weights' name.
    sha256 : str
        SHA-256 of the weight file, 64 hex digits.
    shape : mapping of str to int
        The numbers that make the model.
    device, precision : str
    threads : int
        Most CPU threads used.
    kernels : str
        What computes on a CPU; ``none`` for PyTorch's operators and on other devices.
    engine : str
        Version of the generator's own arithmetic: changes whenever the same weights, request
        and seed may give another text.
    scoregate, torch : str
        Versions of the packages.
    """

    generator: str
    weights: str
    sha256: str
    shape: Mapping[str, int]
    device: str
    precision: str
    threads: int
    kernels: str
    engine: str
    scoregate: str
    torch: str

    def as_dict(self) -> dict[str, Any]:
        """Return the record as it is stored, JSON-ready."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["weights"] = {"name": self.weights, "sha256": values.pop("sha256")}
        return values | {"shape": dict(self.shape)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Provenance:
        """Read a stored record; other keys of a piece's provenance are ignored.

        Records from before there were several generators name none: they are NotaGen's.
        """
        weights = stored["weights"]
        values: dict[str, Any] = {
            name: stored[name] for name in cls.__dataclass_fields__ if name in stored
        }
        values |= {"weights": weights["name"], "sha256": weights["sha256"]}
        return cls(**{"generator": "notagen", "kernels": "none", **values})


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during ``generate``.

    Attributes
    ----------
    pieces : list of Generation
        What was written by then. Finished pieces are whole; the others have ended as
        ``'stopped'``.
    """

    def __init__(self, pieces: list[Generation]) -> None:
        super().__init__(f"stopped with {len(pieces)} pieces begun")
        self.pieces = pieces


@runtime_checkable
class Generator(Protocol):
    """Loaded weights, ready to generate pieces.

    Attributes
    ----------
    name : str
        The weights' name.
    styles : tuple of Style or None
        What the weights were trained on; None where they name no styles.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def styles(self) -> tuple[Style, ...] | None: ...  # noqa: D102

    def provenance(self) -> Provenance:
        """Return what identifies this generator."""
        ...

    def generate(
        self,
        prompts: Iterable[str | Style | None],
        *,
        seeds: Iterable[int] | None = None,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        accept_line: AcceptLine | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> list[Generation]:
        """Generate one piece for each prompt.

        Parameters
        ----------
        prompts : iterable of str, Style or None
            A style, its name, or text that the model takes as a prompt; None for no prompt.
        seeds : iterable of int, optional
            One for each prompt, 0 to 2**32 - 1; drawn at random by default. On a CPU a seed
            gives the same text alone and in any batch.
        sampling : Sampling, optional
        limits : Limits, optional
        accept_line : callable, optional
            ``accept_line(text_so_far, line)`` is asked about each finished body line; a refused
            line is resampled, at most ``limits.line_tries`` times, and then with lines before
            it. A generator that does not write line by line may ignore it.
        on_progress : callable, optional
            Called with a :class:`Progress` after each step of the batch.

        Returns
        -------
        list of Generation
            In the order of the prompts.

        Raises
        ------
        RequestError
            A wrong value; nothing has been generated then.
        GenerationError
            The model gave something unusable from the start, or memory ran out.
        Interrupted
            Ctrl-C; carries the pieces.
        """
        ...


class GeneratorFactory(Protocol):
    """A kind of generator: a module or an object that loads weights."""

    def load(
        self,
        name_or_path: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: str = "fp32",
        threads: int | None = None,
    ) -> Generator:
        """Load weights.

        Parameters
        ----------
        name_or_path : str, path or None
            The name of known weights or a file; None for the kind's default weights.
        device : str
            ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision : str
            ``fp32``, ``bf16``, ``fp16``, ``int8`` or ``auto``, as far as the kind has it.
        threads : int, optional
            Most CPU threads; by default as many as pay.

        Raises
        ------
        WeightsError, UnreadableError, RequestError
        """
        ...

    def trained_styles(
        self, name_or_path: str | os.PathLike[str] | None
    ) -> tuple[Style, ...] | None:
        """Return the styles of weights without loading them; None where they name none."""
        ...


class ManyDefaults(Protocol):
    """What a kind has besides, where its default weights depend on the style."""

    def weights_for(self, style: str) -> str | None:
        """Return the name of its own weights for a style; None for those loaded by default."""
        ...


def generators() -> list[str]:
    """Return the names of all kinds of generators, the built-in ones first."""
    return [*_BUILT_IN, *sorted(set(_registered()) - set(_BUILT_IN))]


def find_generator(name: str) -> GeneratorFactory:
    """Import a kind of generator by its name.

    Raises
    ------
    RequestError
        No such kind; the remedy names the nearest one.
    ToolError
        Another package registered it, and it can't be imported or lacks a function.
    """
    if name in _BUILT_IN:
        return import_module(_BUILT_IN[name])  # type: ignore[return-value]
    registered = _registered()
    if name not in registered:
        known = generators()
        near = get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise RequestError(
            f"There is no generator {name!r:.80}.", f"{hint}There are: {', '.join(known)}."
        )
    entry = registered[name]
    try:
        found = entry.load()
    except Exception as error:  # whatever an import of foreign code may raise
        raise ToolError(
            f"The generator {name!r} ({entry.value}) can't be imported: {error}",
            "Install the package that brings it again, or remove it.",
        ) from error
    for function in ("load", "trained_styles"):
        if not callable(getattr(found, function, None)):
            raise ToolError(
                f"The generator {name!r} ({entry.value}) has no function {function!r}.",
                "See scoregate.generator.GeneratorFactory.",
            )
    return found


def with_weights(request: ProduceRequest) -> ProduceRequest:
    """Return a request that names the weights which write its style.

    A request that names weights or no style, or whose generator has the same weights for every
    style, is returned as it is.

    Raises
    ------
    RequestError, ToolError
        As :func:`find_generator`.
    """
    if request.weights is not None or not request.style:
        return request
    choose = getattr(find_generator(request.model), "weights_for", None)
    weights = choose(request.style) if choose is not None else None
    return request if weights is None else request.model_copy(update={"weights": weights})


def _registered() -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group=ENTRY_POINTS)}


def _duration(seconds: float) -> str:
    """Return a duration in two units at most: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
