"""Drafts of a piece: what speaks for each of them, and which one is the best.

Drafts are compared by these questions, the first one that two of them answer differently decides:

1. ``gates``: would the gates let it pass, and did the model end it?
2. ``rules``: how many rules of its style does it break that real pieces hardly ever break?
3. ``critic``: how much is it like the real pieces of its style
   (:mod:`scoregate.evaluation.critic`)?
4. ``warnings``: how many findings of the gates are warnings?
5. ``order``: the draft that was drawn first.

A draft that the critic can't score stands behind those that it can. Where no critic knows the style
the other questions decide, and the run's record says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scoregate.evaluation import Measured, critic_of, measure_piece
from scoregate.evaluation.tunes import measure_tune
from scoregate.findings import Status
from scoregate.generator import Generation
from scoregate.requests import ProduceRequest
from scoregate.validators.checking import reasons
from scoregate.validators.counterpoint_judge import CHORAL
from scoregate.validators.examination import examine
from scoregate.validators.line_tunes import FIDDLE

QUESTIONS = ("gates", "rules", "critic", "warnings", "order")

_CHORAL_RULES: dict[str, Callable[[Measured], bool]] = {
    "parallels": lambda measured: measured["counterpoint"]["parallels"] > 0,
    "melodic sevenths": lambda measured: measured["melody"]["melodic sevenths"] > 0,
    "augmented intervals": lambda measured: measured["melody"]["augmented intervals"] > 0,
}
"""The rules of counterpoint that the judge of lines applies without exception."""


def assess(draft: Generation, style: str) -> Generation:
    """Return a draft with what speaks for it and against it.

    Parameters
    ----------
    draft : Generation
    style : str
        ``Period/Composer/Instrumentation``.

    Returns
    -------
    Generation
        With ``draft``: ``passes``, ``reasons`` of the gates, names of the ``broken`` rules,
        ``score`` of the critic or None, ``unscored`` (why it is None), and ``warnings``.
    """
    seen = examine(draft.raw, style=style, production=True, profile="notagen")
    verdict = seen.verdict()
    score, unscored = None, ""
    critic = critic_of(style)
    if critic is not None:
        score, unscored = critic.score(draft.raw)
    return replace(
        draft,
        draft={
            "passes": verdict.status is Status.PASSED and draft.ended == "finished",
            "reasons": reasons(verdict, seen.outcomes),
            "broken": broken_rules(draft.raw, style),
            "score": None if score is None else round(score, 4),
            "unscored": unscored,
            "warnings": sum(finding.severity == "warning" for finding in seen.findings),
        },
    )


def assessed(
    request: ProduceRequest, drafts: Sequence[Generation], processor_seconds: float
) -> list[Generation]:
    """Return drafts that were drawn together, each assessed where it is finished.

    Parameters
    ----------
    request : ProduceRequest
        With its style in full.
    drafts : sequence of Generation
    processor_seconds : float
        What all of them took; each counts an equal part, and what it takes to assess it.
    """
    found = []
    for each in drafts:
        if each.ended == "stopped":
            found.append(each)  # Nothing is chosen among drafts that a person stopped.
            continue
        began = time.process_time()
        one = assess(each, request.style)
        seconds = processor_seconds / len(drafts) + time.process_time() - began
        draft = {**(one.draft or {}), "processor_seconds": round(seconds, 3)}
        found.append(replace(one, draft=draft))
    return found


def broken_rules(text: str, style: str) -> list[str]:
    """Return the rules of a style that a text breaks and that real pieces hardly ever break.

    Parallels, sevenths and augmented intervals in a melody for a choir; a bar between plain
    barlines that does not fill the metre in a fiddle tune; none for other styles.
    """
    instrumentation = style.rsplit("/", 1)[-1].strip()
    if instrumentation == CHORAL:
        measured = measure_piece(text)
        known = all(measured.values())
        return [name for name, breaks in _CHORAL_RULES.items() if known and breaks(measured)]
    if instrumentation == FIDDLE:
        tune = measure_tune(text)
        return ["bars off the metre"] if tune is not None and tune.in_metre < 1 else []
    return []


def rank(number: int, draft: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a key by which the best draft comes first, an entry for each of `QUESTIONS`.

    Parameters
    ----------
    number : int
        The draft's place among those of its piece.
    draft : mapping
        What :func:`assess` found.
    """
    score = draft["score"]
    critic = (True, 0.0) if score is None else (False, -score)
    return not draft["passes"], len(draft["broken"]), critic, draft["warnings"], number


def choose(drafts: Mapping[int, Generation], style: str) -> Generation:
    """Return the best of the drafts of a piece.

    Parameters
    ----------
    drafts : mapping of int to Generation
        By number, each as :func:`assessed` returned it; at least one.
    style : str

    Returns
    -------
    Generation
        With ``choice``: ``chosen`` (the draft's number, from 1), ``drawn`` (how many there were),
        ``decided_by`` (of `QUESTIONS`, or ``only one``), the ``critic`` (name and version) or None,
        its ``score``, the ``scores`` of all drafts, how many would be ``passing``, what all of them
        took (``characters_drawn``, ``steps``, ``processor_seconds``), and the ``drafts``.
    """
    found = {number: dict(each.draft or {}) for number, each in sorted(drafts.items())}
    ranks = {number: rank(number, each) for number, each in found.items()}
    best, *others = sorted(found, key=ranks.__getitem__)
    decided = "only one"
    if others:
        pairs = zip(ranks[best], ranks[others[0]], strict=True)
        decided = next(q for q, (a, b) in zip(QUESTIONS, pairs, strict=True) if a != b)
    critic = critic_of(style)
    taken = ("characters_drawn", "steps")
    return replace(
        drafts[best],
        draft=None,
        choice={
            "chosen": best + 1,
            "drawn": len(found),
            "decided_by": decided,
            "critic": None if critic is None else critic.as_dict(),
            "score": found[best]["score"],
            "scores": [each["score"] for each in found.values()],
            "passing": sum(each["passes"] for each in found.values()),
            **{name: sum(getattr(each, name) for each in drafts.values()) for name in taken},
            "processor_seconds": round(sum(x["processor_seconds"] for x in found.values()), 3),
            "drafts": [
                {
                    "number": number + 1,
                    "seed": drafts[number].seed,
                    "ended": drafts[number].ended,
                    **each,
                }
                for number, each in found.items()
            ],
        },
    )
