r"""Judge many texts, and turn judgements into rewards for training.

:func:`reward` gives each text a number in [0, 1], for those who train a model with GRPO, PPO or
preference pairs. :func:`judge_texts` gives status, findings and measures as well. Both work in
the calling process, in any number of threads; a :class:`Judge` keeps processes of its own.

The reward of a text depends on nothing but the text, the profile, the style and the version of
the gates:

==================  ==================================================================
reward              for
==================  ==================================================================
0                   what can't be read as a score at all
0.02                what no gate could judge to the end (a limit was reached)
0.05 to 0.55        a piece with critical findings; the more, the less
0.7 to 1            a piece that passes; 1 without warnings
==================  ==================================================================

It never grows with the number of critical findings or of warnings. The gates report a limited
number of findings of one kind, so it stays the same from there on.

Examples
--------
>>> good = "X:1\nM:4/4\nL:1/4\nQ:1/4=90\nK:C\nCEGc|G2E2|\nCEG|]\n"
>>> broken = good.replace("G2E2|", "G2E|")
>>> [round(value, 2) for value in reward([good, broken, "no music"]).tolist()]
[1.0, 0.55, 0.0]
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

from scoregate.abc.finding_collector import NOT_MUSIC
from scoregate.abc.score import Score
from scoregate.abc.source_text import REFUSED
from scoregate.findings import Finding, Status
from scoregate.validators import registry
from scoregate.validators.examination import (
    TOGETHER,
    Examination,
    Reading,
    Terms,
    examine_finished,
    examine_score,
    read_together,
)
from scoregate.validators.profile_guess import guess
from scoregate.validators.verdict import profiles
from scoregate.validators.verdict.profiles import Profile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNREADABLE, NOT_JUDGED = 0.0, 0.02
"""Rewards of what is no score, and of what could not be judged."""
_LOWEST, _CRITICAL, _WARNED = 0.05, 0.45, 0.05
_PASSED = 0.7
_HALF_CRITICAL, _HALF_WARNINGS = 5, 10
"""Findings beyond the first critical one, and warnings, that halve their part of the reward."""
_UNREADABLE_CODES = frozenset(
    (REFUSED, NOT_MUSIC, "syntax.empty", "syntax.no-music", "syntax.unsafe-directive")
)
_CHUNK = 16
"""Texts that a process takes at once."""

Text = str | bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gates say of one text.

    Attributes
    ----------
    status : Status
    reward : float
        In [0, 1]; the docstring of this module says how.
    profile : str
        Name of the profile that it was judged by.
    findings : list of Finding
        Of all gates, with positions in the text as it was handed in.
    measures : dict of str to float
    """

    status: Status
    reward: float
    profile: str
    findings: list[Finding] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)


def reward(
    texts: Iterable[Text],
    *,
    profile: str | Profile | None = profiles.DEFAULT,
    style: str | None = None,
    abc2midi: bool = False,
    gates: Sequence[str] | None = None,
) -> NDArray[np.float64]:
    """Return a reward in [0, 1] for each text.

    Parameters
    ----------
    texts : iterable of str or bytes
        ABC, as a model writes it or finished.
    profile : str or Profile or None
        What kind of music it should be; None guesses it from each text.
    style : str or None
        ``Period/Composer/Instrumentation``; None takes it from the text's prompt lines.
    abc2midi : bool
        Whether abc2midi reads each text as well, as in ``scoregate check``. It finds hardly
        anything that the reader does not.
    gates : sequence of str or None
        The gates that judge; None for every one. ``("syntax", "bars")`` take a third of the
        time, for the beginning of a training in which most texts fail them.

    Returns
    -------
    ndarray of float64, shape (texts,)

    Raises
    ------
    RequestError
        No profile, or no gate, is called so.
    """
    import numpy as np

    if isinstance(profile, str):
        profile = profiles.find(profile)
    terms = Terms(style=style, gates=gates)
    values = [
        _reward(score, profile, abc2midi, terms) for _, score in _readings(texts, abc2midi, gates)
    ]
    return np.array(values, dtype=np.float64)


def judge_texts(
    texts: Iterable[Text],
    *,
    profile: str | Profile | None = None,
    style: str | None = None,
    abc2midi: bool = True,
    gates: Sequence[str] | None = None,
    ending: str = "",
) -> list[Judgement]:
    """Judge texts one after the other, in this process.

    Parameters
    ----------
    texts, profile, style, abc2midi, gates
        As :func:`reward` takes them; the defaults are those of :func:`examine`.
    ending : str
        Of the files that the texts were converted from (``.mid``), for guessing the profile.
    """
    chosen = profiles.find(profile) if isinstance(profile, str) else profile
    terms = Terms(style=style, gates=gates, ending=ending)
    return [
        _judged(reading, chosen, abc2midi, terms) for reading in _readings(texts, abc2midi, gates)
    ]


class Judge:
    """Processes that judge texts, kept between calls.

    Use it as a context manager, or call :meth:`close`. The processes are started by a server
    process and not by forking, so threads and GPU memory of the caller are not copied; a
    script that makes a `Judge` needs ``if __name__ == "__main__":``.

    Parameters
    ----------
    workers : int or None
        Number of processes; None for one a core.
    profile : str or None
        Name of the profile; None guesses it from each text.
    style : str or None
    abc2midi : bool
    gates : sequence of str or None
        As :func:`reward` takes them.

    Raises
    ------
    RequestError
        No profile, or no gate, is called so.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        profile: str | None = profiles.DEFAULT,
        style: str | None = None,
        abc2midi: bool = False,
        gates: Sequence[str] | None = None,
    ) -> None:
        if profile is not None:
            profiles.find(profile)
        for name in gates or ():
            registry.find(name)
        self._options = (profile, style, abc2midi, tuple(gates) if gates is not None else None)
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        count = workers or len(os.sched_getaffinity(0))
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_warm_up)

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def judge(self, texts: Iterable[Text]) -> Iterator[Judgement]:
        """Yield the judgement of each text, in their order."""
        everything = list(texts)
        chunks = [everything[at : at + _CHUNK] for at in range(0, len(everything), _CHUNK)]
        for judged in self._pool.map(_judge_chunk, chunks, [self._options] * len(chunks)):
            yield from judged

    def reward(self, texts: Iterable[Text]) -> NDArray[np.float64]:
        """Return a reward in [0, 1] for each text, as the function `reward` does."""
        import numpy as np

        everything = list(texts)
        chunks = [everything[at : at + _CHUNK] for at in range(0, len(everything), _CHUNK)]
        values = self._pool.map(_reward_chunk, chunks, [self._options] * len(chunks))
        return np.array([value for chunk in values for value in chunk], dtype=np.float64)


Options = tuple[str | None, str | None, bool, tuple[str, ...] | None]


def _warm_up() -> None:
    """Import the gates before the first text comes."""
    reward(["X:1\nK:C\nC|]\n"])


def _judge_chunk(texts: Sequence[Text], options: Options) -> list[Judgement]:
    profile, style, abc2midi, gates = options
    return judge_texts(texts, profile=profile, style=style, abc2midi=abc2midi, gates=gates)


def _reward_chunk(texts: Sequence[Text], options: Options) -> list[float]:
    profile, style, abc2midi, gates = options
    values = reward(texts, profile=profile, style=style, abc2midi=abc2midi, gates=gates)
    return values.tolist()


@functools.lru_cache(maxsize=64)
def _changed(profile: Profile, abc2midi: bool, reported: bool) -> Profile:
    """Return a profile by which abc2midi, or numbers below every threshold, are left out."""
    settings = {**(profile.settings or {})}
    if not abc2midi:
        settings["syntax.abc2midi"] = 0
    if not reported:
        settings["measures.reported"] = 0
    return replace(profile, settings=settings)


def _readings(
    texts: Iterable[Text], abc2midi: bool, gates: Sequence[str] | None
) -> Iterator[Reading]:
    """Finish and read texts; abc2midi, where it is asked, runs once for several of them."""
    asked = abc2midi and (gates is None or "syntax" in gates)
    return read_together(texts, TOGETHER if asked else 1)


def _reward(score: Score, profile: Profile | None, abc2midi: bool, terms: Terms) -> float:
    """Return the reward of a piece: what counts is left of its judgement, and no places."""
    chosen = _changed(profile or profiles.find(guess(score)), abc2midi, reported=False)
    examination = examine_score(score, chosen, terms)
    return _value(examination, examination.verdict().status)


def _judged(reading: Reading, profile: Profile | None, abc2midi: bool, terms: Terms) -> Judgement:
    if profile is None:
        profile = profiles.find(guess(reading.score, terms.ending))
    if not abc2midi:
        profile = _changed(profile, abc2midi, reported=True)
    examination = examine_finished(reading, replace(terms, profile=profile))
    status = examination.verdict().status
    findings = examination.findings
    return Judgement(
        status,
        _value(examination, status),
        examination.profile.name,
        findings,
        examination.measures,
    )


def _value(examination: Examination, status: Status) -> float:
    findings = examination.findings
    if not examination.score.voices or any(
        finding.severity == "critical" and finding.code in _UNREADABLE_CODES for finding in findings
    ):
        return UNREADABLE
    if status is Status.NOT_JUDGED:
        return NOT_JUDGED
    critical = sum(finding.severity == "critical" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    calm = 1 / (1 + warnings / _HALF_WARNINGS)
    if status is Status.PASSED:
        return _PASSED + (1 - _PASSED) * calm
    more = max(critical - 1, 0)  # a measure alone may reject a piece, without a finding
    return _LOWEST + _CRITICAL / (1 + more / _HALF_CRITICAL) + _WARNED * calm
