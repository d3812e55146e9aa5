"""The gate ``novelty``: is a piece a copy of a known one.

The longest passage that the piece shares with the corpus on which the embedded model was
trained is looked up, in any key (:mod:`scoregate.validators.analysis.novelty_index`). A
passage is shared when every note of every voice is. How long the melody alone follows a
known one is measured as well and rejects nothing: Bach wrote several settings of many
tunes, and so may a model.

A piece that copies is rejected, and the finding names the source. The gate is for
production only: a score that a person hands in to be checked may well be Bach's own.
"""

from __future__ import annotations

from scoregate.abc.score import Score
from scoregate.findings import Finding, Outcome
from scoregate.validators.analysis.novelty_index import known_pieces, longest_shared
from scoregate.validators.analysis.shared_passages import melody, texture
from scoregate.validators.registry import FunctionGate, Measure
from scoregate.validators.verdict.thresholds import for_style

NAME = "novelty"
VERSION = "1"


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Look for passages that stand in the corpus.

    Parameters
    ----------
    score : Score
    style : str, optional
        Style whose thresholds for the two measures apply.

    Returns
    -------
    Outcome
        Measures ``novelty.shared_bars`` and ``novelty.melody_bars``, in bars of the piece.
    """
    thresholds = for_style(style)
    indices = known_pieces()
    outcome = Outcome(NAME, VERSION)
    for kind, passage, message in (
        ("texture", texture(score), "{bars:.1f} bars stand note for note in {source}"),
        ("melody", melody(score), "the melody is that of {source} for {bars:.1f} bars"),
    ):
        shared = longest_shared(score, passage, indices[kind])
        measure = "novelty.shared_bars" if kind == "texture" else "novelty.melody_bars"
        outcome.measures[measure] = shared.bars
        severity = thresholds.severity(measure, shared.bars)
        if severity is None:
            continue
        bar = next((b for b in score.voices[0].bars if b.number == shared.first_bar), None)
        outcome.findings.append(
            Finding(
                NAME,
                "novelty.copy" if kind == "texture" else "novelty.known-melody",
                severity,
                f"bars {shared.first_bar}-{shared.last_bar}: "
                + message.format(bars=shared.bars, source=shared.source),
                bar=shared.first_bar,
                line=bar.line if bar is not None else None,
                column=bar.column if bar is not None else None,
                found=shared.source,
                expected=f"below {thresholds.bound(measure, severity):g} bars",
            )
        )
    return outcome


GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="Is the piece a copy of a known one?",
    check=check,
    measures=(
        Measure(
            "novelty.shared_bars", "Shared bars", "longest run of bars known from the corpus", 1
        ),
        Measure(
            "novelty.melody_bars",
            "Shared melody",
            "longest stretch in bars of a tune of the corpus",
            1,
        ),
    ),
    production_only=True,
)
