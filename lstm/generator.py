"""The LSTM as a generator of the production line.

Pieces are generated side by side in a fixed number of rows. Rows without a piece are computed as
well, so that a row's numbers never depend on how many pieces there are: on a CPU a seed gives the
same text alone and in any batch.

A tuplet is completed before anything else may follow: otherwise one lone triplet note moves all
that follows off the beats. That a piece ends where a bar does is not asked for: pieces whose bars
the model had lost went on for hundreds of bars then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch

from scoregate import __version__
from scoregate.errors import GenerationError, RequestError
from scoregate.generator import (
    AcceptLine,
    Ended,
    Generation,
    Interrupted,
    Limits,
    Progress,
    Provenance,
)
from scoregate.lstm.events import Event, Piece, bar_length
from scoregate.lstm.model import LstmModel
from scoregate.lstm.notation import bars_of, to_abc
from scoregate.lstm.vocabulary import END, style_word
from scoregate.lstm.weights import Weights
from scoregate.sampling import Sampling, random_stream
from scoregate.styles import Style, parse, untrained
from scoregate.token_sampling import sample_tokens

ENGINE = "1"
ROWS = 16
MAX_EVENTS = 3000
"""Most events of a piece where no limit is given; longer than any tune."""


@dataclass(slots=True)
class _Active:
    """A piece in work."""

    index: int
    style: Style
    seed: int
    uniforms: np.random.RandomState
    began: float
    metre: str = ""
    pickup: int | None = None
    events: list[int] = field(default_factory=list)
    steps: int = 0
    time: Fraction = Fraction(0)
    """Quarter notes so far."""


class LstmGenerator:
    """Loaded weights of the LSTM; meets :class:`scoregate.generator.Generator`.

    Parameters
    ----------
    weights : Weights
    device : str
        ``auto``, ``cpu``, ``cuda`` ...
    precision : str
        ``fp32`` or ``auto``.
    threads : int, optional
        Most CPU threads; 1 by default, since the layers are too small to share.
    """

    def __init__(
        self,
        weights: Weights,
        device: str = "auto",
        precision: str = "fp32",
        threads: int | None = None,
    ) -> None:
        if precision not in ("fp32", "auto"):
            raise RequestError(
                f"The LSTM has no precision {precision!r}.", "Take fp32; it is small enough."
            )
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._weights = weights
        self._vocabulary = weights.metadata.vocabulary
        self._threads = threads or 1
        try:
            self._device = torch.device(device)
            self._model = LstmModel(weights.shape).to(self._device).eval()
        except (RuntimeError, AssertionError) as error:
            raise RequestError(
                f"The device {device!r} can't be used: {error}", "Take --device cpu."
            ) from error
        self._model.load_state_dict(weights.tensors)
        vocabulary = self._vocabulary
        self._metres = np.array(vocabulary.tokens_starting("<metre "))
        self._pickups = np.array(vocabulary.tokens_starting("<pickup "))
        end = vocabulary.token(END)
        assert end is not None
        self._end = end
        self._events = np.array(vocabulary.event_tokens)
        self._or_end = np.array([end, *self._events])
        self._durations = {
            int(token): vocabulary.event(int(token)).duration for token in self._events
        }
        denominators = {duration.denominator for duration in self._durations.values()}
        # By the odd part of a denominator: the events that go on with such a tuplet.
        self._in_tuplet = {
            odd: np.array([t for t, d in self._durations.items() if d.denominator % odd == 0])
            for odd in {_odd(denominator) for denominator in denominators}
        }

    @property
    def name(self) -> str:
        """The weights' name: the file's without its ending."""
        return self._weights.metadata.path.stem

    @property
    def styles(self) -> tuple[Style, ...]:
        """What the weights were trained on."""
        return self._weights.metadata.styles

    def provenance(self) -> Provenance:
        """Return what identifies this generator."""
        return Provenance(
            generator="lstm",
            weights=self.name,
            sha256=self._weights.sha256,
            shape=self._weights.metadata.shape,
            device=str(self._device),
            precision="fp32",
            threads=self._threads,
            kernels="none",
            engine=ENGINE,
            scoregate=__version__,
            torch=torch.__version__,
        )

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
        """Generate one piece for each prompt; see :class:`scoregate.generator.Generator`.

        ``accept_line`` is not asked: bars are counted off by the metre, so a bar can't be too
        long or too short.
        """
        limits = limits or Limits()
        sampling = sampling or Sampling()
        waiting = self._requests(prompts, seeds)
        call = _Call(self, sampling, limits, len(waiting), on_progress)
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                return call.run(waiting)
        finally:
            torch.set_num_threads(before)

    def _requests(
        self, prompts: Iterable[str | Style | None], seeds: Iterable[int] | None
    ) -> list[_Active]:
        asked = list(prompts)
        if not asked:
            raise RequestError("There are no prompts.", "Give one for each piece.")
        if seeds is None:
            numbers = [int(n) for n in np.random.SeedSequence().generate_state(len(asked))]
        else:
            numbers = list(seeds)
        if len(numbers) != len(asked):
            raise RequestError(
                f"There are {len(asked)} prompts and {len(numbers)} seeds.", "Give one a prompt."
            )
        return [
            _Active(index, self._style(prompt), seed, random_stream(seed), 0.0)
            for index, (prompt, seed) in enumerate(zip(asked, numbers, strict=True))
        ]

    def _style(self, prompt: str | Style | None) -> Style:
        style = self.styles[0] if prompt is None else parse(prompt)
        if self._vocabulary.token(style_word(str(style))) is None:
            raise untrained(style, self.styles, "other weights, for instance --model notagen")
        return style


def _odd(number: int) -> int:
    """Return the largest odd divisor.

    >>> _odd(12), _odd(8)
    (3, 1)
    """
    return number // (number & -number)


class _Call:
    """One call of ``generate``: pieces that wait, rows that generate, pieces that are done."""

    def __init__(
        self,
        generator: LstmGenerator,
        sampling: Sampling,
        limits: Limits,
        total: int,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.generator, self.sampling, self.limits = generator, sampling, limits
        self.on_progress, self.total = on_progress, total
        self.done: dict[int, Generation] = {}
        self.rows: list[_Active | None] = [None] * ROWS
        shape = generator._weights.shape
        size = (shape.layers, ROWS, shape.hidden)
        self.state = (torch.zeros(size, device=generator._device),) * 2
        self.tokens = np.zeros(ROWS, dtype=np.int64)
        self.began = time.monotonic()
        self.steps = 0

    def run(self, waiting: list[_Active]) -> list[Generation]:
        """Generate all pieces; return them in the order of the prompts."""
        waiting = waiting[::-1]
        most = min(self.limits.batch_size or ROWS, ROWS)
        try:
            while waiting or any(self.rows):
                self._fill(waiting, most)
                self._step()
                self._report()
        except KeyboardInterrupt:
            for row in range(ROWS):
                if self.rows[row]:
                    self._close(row, "stopped")
            raise Interrupted([self.done[index] for index in sorted(self.done)]) from None
        return [self.done[index] for index in range(self.total)]

    def _fill(self, waiting: list[_Active], most: int) -> None:
        for row in range(most):
            if self.rows[row] is None and waiting:
                piece = waiting.pop()
                piece.began = time.monotonic()
                self.rows[row] = piece
                hidden, cell = (part.clone() for part in self.state)
                hidden[:, row] = 0
                cell[:, row] = 0
                self.state = (hidden, cell)
                first = self.generator._vocabulary.token(style_word(str(piece.style)))
                assert first is not None
                self.tokens[row] = first

    def _step(self) -> None:
        """Sample the next token of every row."""
        generator = self.generator
        inputs = torch.from_numpy(self.tokens).to(generator._device)[:, None]
        logits, self.state = generator._model(inputs, self.state)
        probabilities = torch.softmax(logits[:, -1].double(), dim=1).cpu().numpy()
        for row, piece in enumerate(self.rows):
            if piece is None:
                continue
            if not np.isfinite(probabilities[row]).all():
                if not self.steps:
                    raise GenerationError(
                        "The LSTM gave logits that are not finite.",
                        "The weights are damaged; train or copy them again.",
                    )
                self._close(row, "failed")
                continue
            allowed = self._allowed(piece)
            uniform = piece.uniforms.random_sample(1)
            chosen = sample_tokens(probabilities[row : row + 1, allowed], uniform, self.sampling)
            token = int(allowed[int(chosen[0])])
            self.tokens[row] = token
            piece.steps += 1
            self.steps += 1
            self._take(row, piece, token)

    def _allowed(self, piece: _Active) -> np.ndarray:
        generator = self.generator
        if not piece.metre:
            return generator._metres
        if piece.pickup is None:
            full = bar_length(piece.metre)
            vocabulary = generator._vocabulary
            return np.array([t for t in generator._pickups if vocabulary.pickup(int(t)) < full])
        odd = _odd(piece.time.denominator)
        if odd > 1:
            return generator._in_tuplet.get(odd, generator._events)
        return generator._or_end

    def _take(self, row: int, piece: _Active, token: int) -> None:
        generator, limits = self.generator, self.limits
        if not piece.metre:
            piece.metre = generator._vocabulary.value(token)
        elif piece.pickup is None:
            piece.pickup = token
        elif token == generator._end:
            self._close(row, "finished")
            return
        else:
            piece.events.append(token)
            piece.time += generator._durations[token]
        if len(piece.events) >= MAX_EVENTS or piece.steps >= (limits.max_steps or np.inf):
            self._close(row, "length")
        elif limits.max_seconds and time.monotonic() - piece.began > limits.max_seconds:
            self._close(row, "time")

    def _close(self, row: int, ended: Ended) -> None:
        piece = self.rows[row]
        assert piece is not None
        self.rows[row] = None
        vocabulary = self.generator._vocabulary
        events: list[Event] = [vocabulary.event(token) for token in piece.events]
        pickup = vocabulary.pickup(piece.pickup) if piece.pickup is not None else bar_length("0/4")
        notes = ()
        text, bars = "", 0
        if events:
            stream = Piece(str(piece.seed), tuple(events), piece.metre, pickup)
            text = to_abc(stream, piece.style.instrumentation)
            bars = len(bars_of(stream))
        else:
            notes = ("The model ended the piece before its first note.",)
            ended = "failed" if ended == "finished" else ended
        self.done[piece.index] = Generation(
            raw=piece.style.prompt + text,
            ended=ended,
            seed=piece.seed,
            steps=piece.steps,
            bars=bars,
            seconds=round(time.monotonic() - piece.began, 3),
            notes=notes,
        )

    def _report(self) -> None:
        if self.on_progress is None:
            return
        seconds = time.monotonic() - self.began
        done = len(self.done)
        left = seconds / done * (self.total - done) if done else None
        bars = sum(piece.bars for piece in self.done.values())
        self.on_progress(Progress(done, self.total, bars, self.steps, seconds, left, unit="events"))
