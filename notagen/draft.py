"""One piece being written: what the model has said so far, and what it must say next.

A draft is a state machine over patches. It knows text, prompts, forced lines, the counter
of the body lines, refused lines and full contexts; it knows no tensor. The slow path and the
engine both drive it: ask for the patches the model must have seen (``patches``), for the
codes the next patch begins with (``start``) and for random numbers (``uniforms``), draw a
patch, and hand it to ``take``.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass

import numpy as np

from scoregate.generator import AcceptLine, Ended, Limits
from scoregate.notagen.model.shape import PATCH_SIZE
from scoregate.notagen.text.context import cut_context
from scoregate.notagen.text.opening import Opening, header_rank
from scoregate.notagen.text.patches import (
    BODY_STARTS,
    BOS_PATCH,
    Patch,
    decode_patch,
    encode_open,
    encode_unit,
    ends_piece,
    settle,
    units_of,
    units_of_line,
)
from scoregate.sampling import random_stream

MOST_CHARACTERS = 102_400
FIRST_COUNTER = "[r:0/"
_NO_LIMITS = Limits()
_COUNTER = re.compile(r"\[r:(\d{1,6})/(\d{1,6})\]")
_TIED_OVER = re.compile(r"-\s*[|:\[]")  # a note tied over the barline


@dataclass(frozen=True, slots=True)
class _LineStart:
    """Where an accepted body line begins, so that it can be taken back.

    Parameters
    ----------
    at : int
        In the body's text.
    mark : int
        In the patches.
    counter : tuple of int or None
        Counter of the line before it.
    """

    at: int
    mark: int
    counter: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every piece of one call.

    Parameters
    ----------
    length : int
        Patches the model can attend to.
    limits : Limits
    accept_line : callable or None
        ``accept_line(text_so_far, line)`` judges each finished body line.
    """

    length: int
    limits: Limits = _NO_LIMITS
    accept_line: AcceptLine | None = None


class Draft:
    """One piece being written.

    Parameters
    ----------
    prompt : str
        Prompt lines; may be empty for weights that know none.
    seed : int
    rules : Rules
    opening : Opening, optional
        Header and bars that are forced on the model.

    Attributes
    ----------
    patches : list of tuple of int
        What the patch level has to have read, BOS_PATCH first.
    stable : int
        How many leading patches have stayed the same since :meth:`synced` was called: what
        a cache of them may keep.
    rewound : bool
        Whether patches were taken back since then, so that the output behind the last one
        is another's.
    start : tuple of int
        0 to 15 codes with which the next patch begins.
    ended : str or None
        Why the piece is over.
    """

    def __init__(
        self, prompt: str, seed: int, rules: Rules, opening: Opening | None = None
    ) -> None:
        self.rules = rules
        self.seed = seed
        self.patches: list[Patch] = [BOS_PATCH]
        self.stable = 0
        self.rewound = False
        self.start: Patch = ()
        self.ended: Ended | None = None
        self.drawn = self.resampled_lines = self.refused_lines = self.cuts = 0
        self.bars = self.forced_bars = 0
        self.bars_in_all = 0
        self.head = ""  # prompt and header
        self.body = ""
        self.began = time.monotonic()
        self.seconds = 0.0
        self._random = random_stream(seed)
        self._start_is_new = False  # whether the start's text is still to be written down
        self._in_body = False
        self._kept_from = 0  # the context holds the body from here on
        self._line_at = 0  # where the current line begins in its text ...
        self._line_mark: int | None = 1  # ... and in the patches; None where a cut lost it
        self._counter: tuple[int, int] | None = None  # of the last accepted line
        self._tries = 0
        self._tied: _LineStart | None = None  # the line before, where it ties a note over
        self._taken_back: set[int] = set()  # numbers of the lines that were taken back
        self._opening = opening or Opening()
        self._fields = list(self._opening.fields)
        self._bars = list(self._opening.bars)
        self._append(prompt)
        if self._opening.header:
            self._append(self._opening.header)
            if self._bars and _COUNTER.match(self._bars[0]):
                self._write_bars(0)
            elif self._bars:
                self._begin_body()
        self._check_limits()

    @property
    def raw(self) -> str:
        """The text so far."""
        return self.head + self.body

    def uniforms(self) -> np.ndarray:
        """Return one random number for each character still to be drawn of this patch."""
        return self._random.random_sample(PATCH_SIZE - len(self.start))

    def synced(self) -> None:
        """Say that ``patches`` has been read up to its end."""
        self.stable = len(self.patches)
        self.rewound = False

    def take(self, patch: Patch) -> None:
        """Go on with a drawn patch.

        Parameters
        ----------
        patch : tuple of int
            16 codes, the start included; what stands behind the first END is ignored.
        """
        self.drawn += 1
        patch = settle(patch)
        known = 0 if self._start_is_new else len(self.start)
        self.start, self._start_is_new = (), False
        text = decode_patch(patch)
        if not self._in_body and text.startswith("[r:"):
            # As in NotaGen: the first counter must begin at 0, so this patch is thrown away
            # and resampled after the counter's beginning.
            self._begin_body()
        elif ends_piece(patch):
            self._end("finished")
        else:
            self.patches.append(patch)
            if text[known:] and self._line_mark == len(self.patches):
                # A patch that a cut left open at a line's end goes on into the next line.
                self._line_mark = None
            self._write(text[known:])
        if self.ended is None:
            self._check_limits()

    def stop(self, ended: Ended) -> None:
        """End the piece from outside."""
        if self.ended is None:
            self._end(ended)

    def _end(self, ended: Ended) -> None:
        self.ended = ended
        self.seconds = time.monotonic() - self.began

    def _write(self, text: str) -> None:
        """Write a patch's text down and look at the lines that it finishes."""
        if self._in_body:
            self.body += text
        else:
            self.head += text
            line = self.head[self._line_at :]
            if not line.startswith(BODY_STARTS):
                if "\n" in text:
                    self._finish_header_line(line)
                return
            # Weights that know no counters begin the body like this.
            self._in_body = True
            self.body, self.head, self._line_at = line, self.head[: self._line_at], 0
        if self._bars:
            self._force_bars()
        elif "\n" in text:
            self._finish_line()

    def _begin_body(self) -> None:
        """Write what is left of a forced header, then have the body begin at counter 0."""
        self._insert_fields(header_rank("[V:"))
        self._in_body = True
        self._line_at = 0
        self._line_mark = len(self.patches)
        self._set_start(FIRST_COUNTER)

    def _set_start(self, text: str) -> None:
        """Have the next patch begin with a text, which is written down with it."""
        codes = tuple(ord(char) for char in text)
        while len(codes) >= PATCH_SIZE:
            self.patches.append(codes[:PATCH_SIZE])
            self._write(text[:PATCH_SIZE])
            codes, text = codes[PATCH_SIZE:], text[PATCH_SIZE:]
        self.start, self._start_is_new = codes, bool(codes)

    def _append(self, text: str) -> None:
        """Write finished units down as if the model had drawn them."""
        for unit in units_of(text):
            self.patches += encode_unit(unit)
        if self._in_body:
            self.body += text
        else:
            self.head += text
            self._line_at = len(self.head)
        self._line_mark = len(self.patches)

    def _rewind(self) -> None:
        """Forget the current line."""
        assert self._line_mark is not None
        del self.patches[self._line_mark :]
        self.stable = min(self.stable, self._line_mark)
        self.rewound = True
        if self._in_body:
            self.body = self.body[: self._line_at]
        else:
            self.head = self.head[: self._line_at]

    def _finish_header_line(self, line: str) -> None:
        """Put forced fields where they belong, in place of the model's own."""
        rank = header_rank(line)
        if self._fields and min(header_rank(field) for field in self._fields) <= rank:
            own = self.patches[self._line_mark :]
            self._rewind()
            replaced = self._insert_fields(rank)
            if not replaced:
                self.patches += own
                self.head += line
        self._line_at = len(self.head)
        self._line_mark = len(self.patches)

    def _insert_fields(self, rank: tuple[int, int]) -> bool:
        """Write the forced fields up to a rank; tell whether one has this very rank."""
        due = [field for field in self._fields if header_rank(field) <= rank]
        for field in due:
            self._append(field)
            self._fields.remove(field)
        return any(header_rank(field) == rank for field in due)

    def _finish_line(self) -> None:
        """Count a finished body line, or draw it again."""
        line = self.body[self._line_at :]
        whole = line[: line.index("\n")]
        accept = self.rules.accept_line
        if accept and not accept(self.head + self.body[: self._line_at], whole):
            if self._tries < self.rules.limits.line_tries and self._line_mark is not None:
                self._tries += 1
                self.resampled_lines += 1
                self._take_line_before_back()
                self._rewind()
                self._set_start(self._next_counter())
                return
            self.refused_lines += 1
        self._accept_line(whole)

    def _take_line_before_back(self) -> None:
        """Go back to the line before where a tie in it may be why this one is refused.

        A tie that leads to no note is found in the line after it, but no other line after it need
        be right. After half of the tries the line with the tie is resampled too, once.
        """
        before = self._tied
        half = (self.rules.limits.line_tries + 1) // 2
        if before is None or self._tries < half or self.bars - 1 in self._taken_back:
            return
        self.bars -= 1
        self._taken_back.add(self.bars)
        self.resampled_lines += 1
        self._line_at, self._line_mark, self._counter = before.at, before.mark, before.counter
        self._tied, self._tries = None, 0

    def _accept_line(self, line: str) -> None:
        self._tied = None
        if self._line_mark is not None and _TIED_OVER.search(line):
            self._tied = _LineStart(self._line_at, self._line_mark, self._counter)
        counter = _COUNTER.match(line)
        self._counter = (int(counter[1]), int(counter[2])) if counter else None
        self.bars += 1
        self.bars_in_all = self._counter[0] + self._counter[1] + 1 if self._counter else 0
        self._tries = 0
        self._line_at = len(self.body)
        self._line_mark = len(self.patches)

    def _next_counter(self) -> str:
        """Return how the current line has to begin."""
        if self._counter is None:
            return FIRST_COUNTER if self.bars == 0 and self.body[:3] != "[V:" else ""
        done, left = self._counter
        return f"[r:{done + 1}/{left - 1}]" if left else ""

    def _force_bars(self) -> None:
        """Put the forced bars down once the model has said how many there will be."""
        line = self.body[self._line_at :]
        counter = _COUNTER.match(line)
        if counter or len(line) >= PATCH_SIZE or "\n" in line:
            self._rewind()
            self._write_bars(int(counter[2]) if counter else 0)

    def _write_bars(self, left: int) -> None:
        """Write the forced bars, with counters towards the total that the model named."""
        self._in_body = True
        bars, self._bars = self._bars, []
        left = max(left, len(bars))
        for index, bar in enumerate(bars):
            counted = bar if _COUNTER.match(bar) else f"[r:{index}/{left - index}]{bar}"
            for unit in units_of_line(counted):
                self.patches += encode_unit(unit)
            self.body += counted
            self._accept_line(counted)
        self._tied = None  # what was asked for stays
        self.forced_bars = len(bars)

    def _check_limits(self) -> None:
        rules, limits = self.rules, self.rules.limits
        longest = math.inf if limits.max_steps is None else limits.max_steps
        if self.drawn >= longest or len(self.head) + len(self.body) > MOST_CHARACTERS:
            self._end("length")
        elif limits.max_seconds is not None and time.monotonic() - self.began > limits.max_seconds:
            self._end("time")
        elif len(self.patches) >= rules.length:
            self._cut()

    def _cut(self) -> None:
        """Leave out the older half of the body, for the context is full."""
        cut = cut_context(self.head, self.body[self._kept_from :], self.rules.length)
        if cut is None:
            self._end("failed")
            return
        self.cuts += 1
        self._tied = None
        self._kept_from = len(self.body) - len(cut.body)
        same = 0
        for old, new in zip(self.patches, cut.patches, strict=False):
            if old != new:
                break
            same += 1
        self.stable = min(self.stable, same)
        self.patches = cut.patches
        self.start = cut.start
        before = self.body[self._kept_from : self._line_at]
        if self._line_at < self._kept_from or (before and not before.endswith("\n")):
            # The line's beginning is lost, or shares a patch with the line before.
            self._line_mark = None
        else:
            older, begun = encode_open(self.head, before)
            self._line_mark = len(older) + bool(begun)
