"""Tell faults of a converter from those of the score that it converted.

MusicXML, Humdrum and MIDI are judged by the ABC that is made of them. Where the ABC has a fault
that the MusicXML has not (:mod:`scoregate.convert.musicxml_facts`), the finding says so and is a
warning: the score is not rejected for it.
"""

from __future__ import annotations

from dataclasses import replace

from scoregate.abc.score import Score
from scoregate.convert.formats import Conversion
from scoregate.convert.musicxml_facts import Facts, read_facts
from scoregate.findings import Finding, Outcome

_OWN = ("refused", "empty", "no-music", "unsafe-directive")
"""Faults that no converter makes."""
_BARS = ("voices-disagree", "too-long", "too-short", "layer")
_BARLINES = ("count", "breaks-off", "barline-missing", "barline-inside", "barlines-disagree")


def attribute(outcomes: dict[str, Outcome], score: Score, conversion: Conversion) -> None:
    """Turn the critical findings that are the converter's into warnings that say so.

    Parameters
    ----------
    outcomes : dict of str to Outcome
        By gate; their findings are changed.
    score : Score
        The ABC, as it was read.
    conversion : Conversion
    """
    serious = [
        outcome
        for outcome in outcomes.values()
        if any(_concerned(finding) for finding in outcome.findings)
    ]
    if not serious:
        return
    judge = _Judge(score, read_facts(conversion.musicxml))
    for outcome in serious:
        outcome.findings = [
            judge.settled(finding) if _concerned(finding) else finding
            for finding in outcome.findings
        ]


def _concerned(finding: Finding) -> bool:
    return finding.severity == "critical" and finding.gate in ("syntax", "bars")


class _Judge:
    """Holds findings on the ABC of a score against the score's own facts."""

    def __init__(self, score: Score, facts: Facts | None) -> None:
        self.score = score
        counts = {len(measures) for measures in facts.parts} if facts is not None else set()
        # Otherwise a bar of the ABC can't be told to be a measure of the score.
        self.facts = facts if counts == {score.bar_count} else None
        order = list(dict.fromkeys(map(_place, score.voices)))
        same = self.facts is not None and len(order) == len(self.facts.parts)
        self.part_of = {
            voice.id: order.index(_place(voice)) if same else None for voice in score.voices
        }

    def settled(self, finding: Finding) -> Finding:
        """Return a finding as it is, or as a warning on the conversion."""
        name = finding.code.partition(".")[2]
        if name.startswith("tie-") or name == "abc2midi-tie":
            return self._tie(finding)
        if finding.gate == "syntax":
            return finding if name in _OWN else _converters(finding)
        facts = self.facts
        if facts is None:
            return finding
        # A finding that counts the others of its kind is about every bar.
        bars = [finding.bar] if finding.bar else range(1, self.score.bar_count + 1)
        if name in _BARLINES:
            return _converters(finding)
        if name == "voices-disagree" and all(map(facts.agree, bars)):
            return _converters(finding)
        if name in _BARS and all(map(facts.is_full, bars)):
            return _converters(finding)
        if name == "too-short" and all(map(facts.is_pickup, bars)):
            return replace(finding, severity="warning", message=f"a pickup: {finding.message}")
        return finding

    def _tie(self, finding: Finding) -> Finding:
        facts = self.facts
        if facts is None:
            return finding
        if facts.ties_hold(finding.bar, self.part_of.get(finding.voice or "")):
            return _converters(finding)
        if self._rings_on(finding):
            return replace(
                finding,
                severity="warning",
                message=f"{finding.message}: let it ring, or is the second note missing?",
            )
        return finding

    def _rings_on(self, finding: Finding) -> bool:
        """Whether the ties that lead nowhere are in parts with a brace, as pianos and harps."""
        if finding.voice is not None:
            return any(
                voice.id == finding.voice and voice.brace is not None for voice in self.score.voices
            )
        # The finding counts others of its kind, in whatever parts.
        braced = {
            part
            for name, part in self.part_of.items()
            if any(voice.id == name and voice.brace is not None for voice in self.score.voices)
        }
        parts = self.facts.parts if self.facts is not None else []
        return all(
            index in braced
            for index, measures in enumerate(parts)
            if any(measure.loose_ties for measure in measures)
        )


def _place(voice) -> tuple[str, int]:
    """Return what the voices of one part share: their brace, or their staff."""
    return ("brace", voice.brace) if voice.brace is not None else ("staff", voice.staff)


def _converters(finding: Finding) -> Finding:
    message = f"in the ABC that was made of the score, not in the score: {finding.message}"
    return replace(finding, severity="warning", message=message)
