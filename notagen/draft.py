"""One piece while it is generated: its text so far, and what the model must process next.

A draft is a state machine over patches. It knows text, prompts, forced text, the counter of the
body lines, refused lines and full contexts; it knows no tensor. The slow path and the engine both
drive it: take the patches that the model must have processed (``patches``), the tokens that the
next patch begins with (``start``) and random numbers (``uniforms``), sample a patch, and pass it
to ``advance``.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass

import numpy as np

from scoregate.form import is_form
from scoregate.generator import AcceptLine, Ended, Limits
from scoregate.notagen.model.shape import PATCH_SIZE
from scoregate.notagen.retries import LineStart, Retries
from scoregate.notagen.text.context import cut_context
from scoregate.notagen.text.forced import ForcedText, header_rank
from scoregate.notagen.text.given_voice import GivenVoice
from scoregate.notagen.text.patches import (
    BODY_STARTS,
    BOS_PATCH,
    END,
    Patch,
    decode_patch,
    encode_open,
    encode_unit,
    ends_piece,
    pad_after_end,
    units_of,
    units_of_line,
)
from scoregate.sampling import random_stream

MAX_CHARACTERS = 102_400
"""Longest piece, as in NotaGen's own code."""
RUNAWAY_LINE = 2048
"""Characters from which a line that does not end is taken for one that never will: three times the
longest of NotaGen's published pieces."""
FIRST_COUNTER = "[r:0/"
_NO_LIMITS = Limits()
_COUNTER = re.compile(r"\[r:(\d{1,6})/(\d{1,6})\]")


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every piece of one call.

    Parameters
    ----------
    context : int
        Patches that the model can attend to.
    limits : Limits
    accept_line : callable or None
        ``accept_line(text_so_far, line)`` is asked about each finished body line. With it the
        counters ``[r:i/j]`` hold as well: the piece ends with the line that has j = 0, and an
        end that comes before is sampled again.
    """

    context: int
    limits: Limits = _NO_LIMITS
    accept_line: AcceptLine | None = None


class Draft:
    """One piece while it is generated.

    Parameters
    ----------
    prompt : str
        Prompt lines; may be empty for weights that take none.
    seed : int
    rules : Rules
    forced : ForcedText, optional
        Header and bars that are forced on the model.

    Attributes
    ----------
    patches : list of tuple of int
        What the patch level has to process, BOS_PATCH first.
    cached : int
        How many leading patches have stayed the same since :meth:`mark_cached` was called, so
        that the KV cache holds them.
    rewound : bool
        Whether patches were removed since then, so that the patch level's output is not that of
        the last patch.
    start : tuple of int
        0 to 15 tokens that the next patch begins with.
    ended : str or None
        Why the piece is over: see :data:`scoregate.generator.Ended`.
    sampled : int
        Patches sampled, those of refused lines included.
    drawn, kept : int
        Characters that the model wrote, and those of them that stand in the text.
    bars, forced_bars : int
        Body lines so far, and how many of them were forced.
    total_bars : int
        The bars that the piece will have by its own counter; 0 where that is not known.
    resampled_lines, refused_lines, cuts : int
        See :class:`scoregate.generator.Generation`.
    retries : Retries
        Decides what a refused line takes with it.
    head, body : str
        Prompt and header; body lines.
    """

    def __init__(
        self, prompt: str, seed: int, rules: Rules, forced: ForcedText | None = None
    ) -> None:
        self.rules = rules
        self.seed = seed
        self.patches: list[Patch] = [BOS_PATCH]
        self.cached = 0
        self.rewound = False
        self.start: Patch = ()
        self.ended: Ended | None = None
        self.sampled = self.resampled_lines = self.refused_lines = self.cuts = 0
        self.drawn = self.kept = 0
        self.retries = Retries(rules.limits)
        self.bars = self.forced_bars = 0
        self.total_bars = 0
        self.head = ""
        self.body = ""
        self.began = time.monotonic()
        self.seconds = 0.0
        self._random = random_stream(seed)
        self._start_is_new = False  # whether the start's text is still to be added
        self._in_body = False
        self._context_from = 0  # the context holds the body from this character on
        self._line_at = 0  # where the current line begins in its text ...
        self._line_patch: int | None = 1  # ... and in the patches; None where a cut removed it
        self._line_kept = 0  # `kept` where the current line begins
        self._longest = 0  # characters of the longest accepted line
        self._counter: tuple[int, int] | None = None  # of the last accepted line
        forced = forced or ForcedText()
        self._forced_fields = list(forced.fields)
        self._forced_bars = list(forced.bars)
        self._voice = forced.voice
        self._append(prompt)
        if forced.header:
            self._append(forced.header)
            if self._forced_bars and _COUNTER.match(self._forced_bars[0]):
                self._add_forced_bars(0)
            elif self._forced_bars:
                self._begin_body()
            elif self._voice is not None:
                self._in_body = True
                self._line_at, self._line_patch = 0, len(self.patches)
                self._begin_given_line(self._voice)
        self._check_limits()

    @property
    def raw(self) -> str:
        """The text so far."""
        return self.head + self.body

    @property
    def before_patch(self) -> str:
        """The text before the first token of the next patch, the start's left out."""
        if self._start_is_new or not self.start:
            return self.raw
        return self.raw[: -len(self.start)]

    def uniforms(self) -> np.ndarray:
        """Draw one random number for each token of the next patch that is not forced."""
        return self._random.random_sample(PATCH_SIZE - len(self.start))

    def mark_cached(self) -> None:
        """Note that the KV cache holds ``patches`` up to the end."""
        self.cached = len(self.patches)
        self.rewound = False

    def advance(self, patch: Patch) -> None:
        """Continue with a sampled patch.

        Parameters
        ----------
        patch : tuple of int
            16 tokens, the start included; those behind the first END are ignored.
        """
        self.sampled += 1
        patch = pad_after_end(patch)
        given = len(self.start)
        known = 0 if self._start_is_new else given
        self.start, self._start_is_new = (), False
        text = decode_patch(patch)
        self.drawn += len(text) - given
        if not self._in_body and text.startswith("[r:"):
            # As in NotaGen: the first counter must begin at 0, so this patch is dropped and
            # sampled again behind the counter's beginning.
            self._begin_body()
        elif ends_piece(patch):
            self._take_end()
        else:
            self.patches.append(patch)
            self.kept += len(text) - given
            if text[known:] and self._line_patch == len(self.patches):
                # A patch that a cut left open at the end of a line continues into the next line.
                self._line_patch = None
            self._add(text[known:])
            if self.ended is None and not self._runs_away() and END in patch:
                self._voice_complete()
        if self.ended is None:
            self._check_limits()

    def stop(self, ended: Ended) -> None:
        """End the piece from outside."""
        if self.ended is None:
            self._end(ended)

    def _end(self, ended: Ended) -> None:
        self.ended = ended
        self.seconds = time.monotonic() - self.began

    def _add(self, text: str) -> None:
        """Add a patch's text and look at the lines that it completes."""
        if self._in_body:
            self.body += text
        else:
            self.head += text
            line = self.head[self._line_at :]
            if not line.startswith(BODY_STARTS):
                if "\n" in text:
                    self._header_line_complete(line)
                return
            # Weights that know no counters begin the body like this.
            self._in_body = True
            self.body, self.head, self._line_at = line, self.head[: self._line_at], 0
        if self._forced_bars:
            self._check_for_counter()
        elif "\n" in text:
            self._body_line_complete()

    def _begin_body(self) -> None:
        """Add what is left of the forced fields, then have the body begin at counter 0."""
        self._insert_fields(header_rank("[V:"))
        self._in_body = True
        self._begin_line("")
        self._set_start(FIRST_COUNTER)

    def _set_start(self, text: str) -> None:
        """Have the next patch begin with a text, which is added together with the patch."""
        tokens = tuple(ord(char) for char in text)
        while len(tokens) >= PATCH_SIZE:
            self.patches.append(tokens[:PATCH_SIZE])
            self._add(text[:PATCH_SIZE])
            tokens, text = tokens[PATCH_SIZE:], text[PATCH_SIZE:]
        self.start, self._start_is_new = tokens, bool(tokens)

    def _append(self, text: str) -> None:
        """Add whole units as if the model had written them."""
        for unit in units_of(text):
            self.patches += encode_unit(unit)
        if self._in_body:
            self.body += text
            self._line_patch = len(self.patches)
        else:
            self.head += text
            self._begin_line(self.head)

    def _rewind(self) -> None:
        """Remove the current line."""
        assert self._line_patch is not None
        del self.patches[self._line_patch :]
        self.cached = min(self.cached, self._line_patch)
        self.rewound = True
        self.kept = self._line_kept
        if self._in_body:
            self.body = self.body[: self._line_at]
        else:
            self.head = self.head[: self._line_at]

    def _header_line_complete(self, line: str) -> None:
        """Put forced fields where they belong, in place of the model's own."""
        rank = header_rank(line)
        if self._forced_fields and min(map(header_rank, self._forced_fields)) <= rank:
            own, kept = self.patches[self._line_patch :], self.kept
            self._rewind()
            form_is_due = any(is_form(f) for f in self._forced_fields if header_rank(f) <= rank)
            replaced = self._insert_fields(rank)
            if form_is_due:
                # It is the last of the header, and the model would go on with phrases of its own.
                self._begin_body()
                return
            if not replaced:
                self.patches += own
                self.head += line
                self.kept = kept
        self._begin_line(self.head)

    def _insert_fields(self, rank: tuple[int, int]) -> bool:
        """Add the forced fields up to a rank; return whether one has this very rank."""
        due = [field for field in self._forced_fields if header_rank(field) <= rank]
        for field in due:
            self._append(field)
            self._forced_fields.remove(field)
        return any(header_rank(field) == rank for field in due)

    def _begin_line(self, before: str) -> None:
        """Note that a line begins behind a text, the head's or the body's."""
        self._line_at, self._line_patch = len(before), len(self.patches)
        self._line_kept = self.kept

    def _body_line_complete(self) -> None:
        """Accept a complete body line, or remove it and have it resampled."""
        line = self.body[self._line_at :]
        whole = line[: line.index("\n")]
        spoilt = self._voice is not None and not self._voice.kept_in(whole, self.bars)
        if (spoilt or not self._accepted(whole)) and self._resample_line():
            return
        self._accept_line(whole)
        if self._voice is not None:
            self._begin_given_line(self._voice)
        elif self.rules.accept_line and self._counter is not None and not self._counter[1]:
            self._end("finished")

    def _voice_complete(self) -> None:
        """Resample a line of which the part that is there will be refused."""
        accept = getattr(self.rules.accept_line, "accept_part", None)
        part = self.body[self._line_at :] if self._in_body else ""
        if accept is None or not part or self.start or self._forced_bars or "\n" in part:
            return
        if not accept(self.head + self.body[: self._line_at], part):
            self._remove_line()

    def _runs_away(self) -> bool:
        """Resample a line that goes on without an end; return whether it was one.

        Only where lines are judged. Weights may repeat one character until the piece is cut off.
        """
        line = len(self.body) - self._line_at if self._in_body else 0
        if self.rules.accept_line is None or line <= max(RUNAWAY_LINE, 8 * self._longest):
            return False
        return self._remove_line()

    def _accepted(self, line: str) -> bool:
        accept = self.rules.accept_line
        return accept is None or accept(self.head + self.body[: self._line_at], line)

    def _resample_line(self) -> bool:
        """Remove a refused line, or count it as one that stays; return whether it was removed."""
        removed = self._remove_line()
        self.refused_lines += not removed
        return removed

    def _remove_line(self) -> bool:
        """Remove the current line, and perhaps lines before it; return whether that is allowed."""
        before = self.retries.refuse(self.bars) if self._line_patch is not None else None
        if before is None:
            return False
        self.resampled_lines += 1 + len(before)
        if before:
            first = before[0]
            self._line_at, self._line_patch = first.at, first.patch
            self._counter, self._line_kept = first.counter, first.kept
            self.bars -= len(before)
        self._rewind()
        if self._voice is not None:
            self._begin_given_line(self._voice)
        else:
            self._set_start(self._next_counter())
        return True

    def _take_end(self) -> None:
        """End the piece, unless lines are judged and it is not complete."""
        line = self.body[self._line_at :] if self._in_body else ""
        if self.rules.accept_line is not None and self._in_body:
            begun = _COUNTER.match(line)
            if line.strip():
                # The line was not ended. It may stay as the last one.
                missing = begun is not None and int(begun[2]) > 0
                if (missing or not self._accepted(line)) and self._resample_line():
                    return
            elif self._counter is not None and self._counter[1]:
                self.resampled_lines += 1
                self._set_start(self._next_counter())
                return
        self._end("finished")

    def _accept_line(self, line: str) -> None:
        start = None
        if self._line_patch is not None:
            start = LineStart(self._line_at, self._line_patch, self._counter, self._line_kept)
        self.retries.accept(start, line)
        self._longest = max(self._longest, len(line))
        counter = _COUNTER.match(line)
        self._counter = (int(counter[1]), int(counter[2])) if counter else None
        self.bars += 1
        self.total_bars = self._counter[0] + self._counter[1] + 1 if self._counter else 0
        self._begin_line(self.body)

    def _begin_given_line(self, voice: GivenVoice) -> None:
        """Have the next line begin with the given voice; end the piece after its last bar."""
        if self.bars == len(voice.bars):
            self._end("finished")
            return
        bar = voice.bars[self.bars]
        self.patches += encode_unit(bar.unit)
        # The start is in the text at once, so that a full context is cut behind it.
        self.body += bar.text
        self.start = tuple(ord(char) for char in bar.start)

    def _next_counter(self) -> str:
        """Return the text that the current line has to begin with."""
        if self._counter is None:
            return FIRST_COUNTER if self.bars == 0 and self.body[:3] != "[V:" else ""
        done, left = self._counter
        return f"[r:{done + 1}/{left - 1}]" if left else ""

    def _check_for_counter(self) -> None:
        """Add the forced bars once the model has written how many bars there will be."""
        line = self.body[self._line_at :]
        counter = _COUNTER.match(line)
        if counter or len(line) >= PATCH_SIZE or "\n" in line:
            self._rewind()
            self._add_forced_bars(int(counter[2]) if counter else 0)

    def _add_forced_bars(self, left: int) -> None:
        """Add the forced bars, with counters towards the total that the model named.

        Parameters
        ----------
        left : int
            How many bars are to follow the first one, by the model's counter.
        """
        self._in_body = True
        bars, self._forced_bars = self._forced_bars, []
        left = max(left, len(bars))
        for index, bar in enumerate(bars):
            counted = bar if _COUNTER.match(bar) else f"[r:{index}/{left - index}]{bar}"
            for unit in units_of_line(counted):
                self.patches += encode_unit(unit)
            self.body += counted
            self._accept_line(counted)
        self.retries.forget()  # forced bars are never removed
        self.forced_bars = len(bars)

    def _check_limits(self) -> None:
        limits = self.rules.limits
        most = math.inf if limits.max_steps is None else limits.max_steps
        if self.sampled >= most or len(self.head) + len(self.body) > MAX_CHARACTERS:
            self._end("length")
        elif limits.max_seconds is not None and time.monotonic() - self.began > limits.max_seconds:
            self._end("time")
        elif len(self.patches) >= self.rules.context:
            self._cut()

    def _cut(self) -> None:
        """Drop the older half of the body from the context, which is full."""
        cut = cut_context(self.head, self.body[self._context_from :], self.rules.context)
        if cut is None:
            self._end("failed")
            return
        self.cuts += 1
        self.retries.forget()
        self._context_from = len(self.body) - len(cut.body)
        same = 0
        for old, new in zip(self.patches, cut.patches, strict=False):
            if old != new:
                break
            same += 1
        self.cached = min(self.cached, same)
        self.patches = cut.patches
        self.start = cut.start
        before = self.body[self._context_from : self._line_at]
        if self._line_at < self._context_from or (before and not before.endswith("\n")):
            # The line's beginning was dropped, or shares a patch with the line before.
            self._line_patch = None
        else:
            older, begun = encode_open(self.head, before)
            self._line_patch = len(older) + bool(begun)
