"""What a MusicXML score itself says of bars and ties, to tell its faults from the converter's.

ABC made of a score can have faults that the score has not: a converter drops a rest, splits a
bar or loses a tie. The lengths of measures and the ties are read here from the MusicXML, without
the converter, so that a finding on the ABC can be held against them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from fractions import Fraction

from scoregate.convert.formats import without_declaration

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SLACK = Fraction(1, 96)
"""Difference in whole notes that the rounding of durations makes."""


@dataclass(slots=True)
class Measure:
    """One measure of one part.

    Attributes
    ----------
    length : Fraction
        In whole notes, that of its longest voice.
    metre : Fraction or None
        What the time signature in force asks for; None where there is none.
    implicit : bool
        Whether the score says that it is not to be counted, as a pickup.
    loose_ties : int
        Ties that begin in it and lead to no note of their pitch in the part.
    """

    length: Fraction
    metre: Fraction | None
    implicit: bool = False
    loose_ties: int = 0


@dataclass(slots=True)
class Facts:
    """The measures of every part of a score.

    Attributes
    ----------
    parts : list of list of Measure
    """

    parts: list[list[Measure]] = field(default_factory=list)

    def agree(self, number: int) -> bool:
        """Return whether a measure, by its place from 1, is equally long in all parts."""
        lengths = self._lengths(number)
        return bool(lengths) and max(lengths) - min(lengths) <= _SLACK

    def length(self, number: int) -> Fraction | None:
        """Return the length of a measure in its longest part."""
        return max(self._lengths(number), default=None)

    def is_full(self, number: int) -> bool:
        """Return whether a measure is as long as its metre in every part."""
        measures = self._measures(number)
        return bool(measures) and all(
            each.metre is not None and abs(each.length - each.metre) <= _SLACK for each in measures
        )

    def is_pickup(self, number: int) -> bool:
        """Return whether the score itself says that a measure is not to be counted."""
        measures = self._measures(number)
        return bool(measures) and all(each.implicit for each in measures)

    def ties_hold(self, number: int | None, part: int | None) -> bool:
        """Return whether every tie in a measure and its neighbours leads to its note.

        Parameters
        ----------
        number : int or None
            None for every measure.
        part : int or None
            Index of the part; None for all.
        """
        parts = self.parts if part is None else self.parts[part : part + 1]
        return not any(
            measure.loose_ties
            for measures in parts
            for measure in (measures[max(number - 2, 0) : number + 1] if number else measures)
        )

    def _measures(self, number: int) -> list[Measure]:
        return [measures[number - 1] for measures in self.parts if 0 < number <= len(measures)]

    def _lengths(self, number: int) -> list[Fraction]:
        return [measure.length for measure in self._measures(number)]


def read_facts(text: str) -> Facts | None:
    """Read the facts of a score; None for what is no ``score-partwise`` or can't be read."""
    try:
        root = ElementTree.fromstring(without_declaration(text))
    except (ElementTree.ParseError, ValueError):
        return None
    facts = Facts()
    for part in root.iter("part"):
        reader = _PartReader()
        for measure in part.iter("measure"):
            reader.measure(measure)
        facts.parts.append(reader.finished())
    return facts if facts.parts else None


class _PartReader:
    """Reads the measures of one part, one after another."""

    def __init__(self) -> None:
        self.measures: list[Measure] = []
        self.divisions = 1
        self.metre: Fraction | None = None
        self.begin = Fraction(0)
        # When each pitch begins, and the ties: pitch, when the next note must begin, measure.
        self.onsets: set[tuple[int, Fraction]] = set()
        self.ties: list[tuple[int, Fraction, int]] = []

    def measure(self, element: ElementTree.Element) -> None:
        """Read one measure."""
        time = longest = start = Fraction(0)
        for child in element:
            if child.tag == "attributes":
                self._attributes(child)
            elif child.tag in ("backup", "forward"):
                length = self._duration(child)
                time += length if child.tag == "forward" else -length
            elif child.tag == "note" and child.find("grace") is None:
                length = self._duration(child)
                if child.find("chord") is None:
                    start, time = time, time + length
                self._note(child, start, length)
            longest = max(longest, time)
        self.measures.append(Measure(longest, self.metre, element.get("implicit") == "yes"))
        self.begin += longest

    def finished(self) -> list[Measure]:
        """Return the measures, with the ties that lead nowhere."""
        for pitch, end, index in self.ties:
            if (pitch, end) not in self.onsets:
                self.measures[index].loose_ties += 1
        return self.measures

    def _attributes(self, element: ElementTree.Element) -> None:
        divisions = _number(element.findtext("divisions"))
        if divisions:
            self.divisions = divisions
        time = element.find("time")
        if time is None:
            return
        self.metre = None
        beats, beat = time.findtext("beats"), _number(time.findtext("beat-type"))
        if beats and beat:
            counts = [_number(count) for count in beats.split("+")]
            if all(count is not None for count in counts):
                self.metre = Fraction(sum(count or 0 for count in counts), beat)

    def _duration(self, element: ElementTree.Element) -> Fraction:
        text = element.findtext("duration") or "0"
        try:
            return Fraction(text.strip()) / (4 * self.divisions)
        except (ValueError, ZeroDivisionError):
            return Fraction(0)

    def _note(self, element: ElementTree.Element, start: Fraction, length: Fraction) -> None:
        pitch = _pitch(element)
        if pitch is None:
            return
        self.onsets.add((pitch, self.begin + start))
        if any(tie.get("type") == "start" for tie in element.findall("tie")):
            self.ties.append((pitch, self.begin + start + length, len(self.measures)))


def _pitch(note: ElementTree.Element) -> int | None:
    pitch = note.find("pitch")
    if pitch is None:
        return None
    step, octave = pitch.findtext("step"), _number(pitch.findtext("octave"))
    if step not in _STEPS or octave is None:
        return None
    alter = pitch.findtext("alter")
    try:
        return 12 * (octave + 1) + _STEPS[step] + (round(float(alter)) if alter else 0)
    except ValueError:
        return None


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text and len(text) < 12 else None
    except ValueError:
        return None
