"""The verdict on a batch of pieces whose gates have all had their turn."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from scoregate.abc.bar_numbers import placed
from scoregate.errors import GateError
from scoregate.findings import Status, Verdict
from scoregate.piece import Piece
from scoregate.unfinished import unfinished
from scoregate.validators.checking import ordered, reasons
from scoregate.validators.verdict import suite, thresholds
from scoregate.validators.verdict.rules import row

_log = logging.getLogger(__name__)


def judge_pieces(pieces: Sequence[Piece], gates: Sequence[str]) -> None:
    """Fill in status, reasons and findings of every piece, and what its report summarises.

    Where Great Expectations itself fails, every piece of the batch could not be judged: the
    texts are kept, and none passes.

    Parameters
    ----------
    pieces : sequence of Piece
        With score and outcomes.
    gates : sequence of str
        Gates that must have judged a piece for it to pass.
    """
    rows = [row(piece.id, piece.outcomes, piece.style) for piece in pieces]
    fault = ""
    try:
        verdicts = suite.judge(rows, gates=gates)
    except GateError as error:
        _log.error("The suite could not judge: %s", error)
        verdicts = [Verdict(piece.id, Status.NOT_JUDGED) for piece in pieces]
        fault = f"the suite failed: {error.problem}"
    for piece, verdict in zip(pieces, verdicts, strict=True):
        _fill_in(piece, verdict, fault)


def _fill_in(piece: Piece, verdict: Verdict, fault: str) -> None:
    status = verdict.status
    why = [fault] if fault else reasons(verdict, piece.outcomes)
    findings = [
        piece.generation.finished.in_source(finding)
        for outcome in piece.outcomes.values()
        for finding in outcome.findings
    ]
    if piece.score is not None:
        findings = [placed(finding, piece.score) for finding in findings]
    if found := unfinished(piece):
        finding, reason = found
        status = Status.REJECTED
        findings.append(finding)
        why.insert(0, reason)
    piece.status = status
    piece.reasons = why
    piece.findings = ordered(findings)
    piece.thresholds = thresholds.for_style(piece.style).as_dict()
    if score := piece.score:
        piece.title = score.title
        piece.summary = {
            "bars": score.bar_count,
            "voices": len(score.voices),
            "key": score.key,
            "metre": score.metre_text,
            "tempo": score.tempo_text,
        }
