"""The score as the gates see it: plain data, read once from ABC, used by every gate.

Durations and onsets are exact Fractions of a whole note. Pitches are sounding MIDI
numbers (60 = middle C), after key signature, accidentals held through the bar and
through ties, octave clefs and ``transpose=``. Lines and columns count from 1 in the text
that was read. The reader (:mod:`scoregate.abc.reader`) makes scores; they are not changed
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from scoregate.compiled import loops
from scoregate.findings import Finding


@dataclass(slots=True)
class Event:
    """A note, a chord or a rest.

    Parameters
    ----------
    onset : Fraction
        From the beginning of the bar, in whole notes.
    duration : Fraction
        Sounding length in whole notes; 0 for grace notes.
    pitches : tuple of int
        Sounding MIDI pitches, as written from left to right; empty for rests.
    line, column : int
    tied_from, tied_to : bool
        Continues the note before / goes on into the next one (any note of a chord).
    grace : bool
    visible : bool
        False for ``x`` rests and ``y`` spacers.
    overlay : int
        0 for the main line of the voice, 1.. for the layers behind ``&``.
    text : str
        The token as it stands in the source.
    tied_pitches : tuple of int
        The sounding pitches that go on from the event before (no new onset).
    """

    onset: Fraction
    duration: Fraction
    pitches: tuple[int, ...]
    line: int
    column: int
    tied_from: bool = False
    tied_to: bool = False
    grace: bool = False
    visible: bool = True
    overlay: int = 0
    text: str = ""
    tied_pitches: tuple[int, ...] = ()


@dataclass(slots=True)
class Bar:
    """One bar of one voice.

    Parameters
    ----------
    number : int
        From 1. In interleaved text all voices of a line share the number.
    duration : Fraction
        Sum of the main layer's durations, in whole notes.
    metre : Fraction or None
        Length a full bar has under the metre in force; None for ``M:none``.
    metre_text : str
        As written: ``4/4``, ``C|``, ``2+3/8``.
    events : list of Event
    left, right : str
        The barlines as written (``|``, ``|:``, ``||``, ``|]``, ``::`` ...); ``""`` where none.
    line, column : int
        Where the bar's music begins.
    key : str
        The key in force at its beginning, as written (``G``, ``Dm``, ``none``).
    implied : bool
        True for a resting bar that the text left out and the reader completed.
    ending : str
        The ending that begins here, as written: ``1``, ``1,3``; ``""`` where none.
    inner : tuple of str
        Barlines inside the bar where a line of interleaved text brings several.
    """

    number: int
    duration: Fraction
    metre: Fraction | None
    metre_text: str
    events: list[Event]
    left: str
    right: str
    line: int
    column: int
    key: str = "C"
    implied: bool = False
    ending: str = ""
    inner: tuple[str, ...] = ()


@dataclass(slots=True)
class Voice:
    """One voice, and its properties in the header.

    Parameters
    ----------
    id : str
        As in ``V:id``.
    name, short_name : str
        ``nm=`` and ``snm=``, unquoted; ``""`` where the header has none.
    instrument : str
        ``name``, or that of the first voice of the same staff or brace where this one
        has none: what the ranges gate resolves.
    clef : str
        ``treble``, ``bass``, ``alto``, ``treble-8`` ...
    transpose : int
        Semitones from written to sounding, of ``transpose=`` and the clef together.
    staff : int
        Index of the staff in ``%%score``, from 0.
    brace : int or None
        Index of the ``{...}`` group (keyboard, harp), None outside one.
    declared : bool
        False for a voice that occurs in the body but not in the header.
    bars : list of Bar
    """

    id: str
    name: str = ""
    short_name: str = ""
    instrument: str = ""
    clef: str = "treble"
    transpose: int = 0
    staff: int = 0
    brace: int | None = None
    declared: bool = True
    line: int | None = None
    bars: list[Bar] = field(default_factory=list)


@dataclass(slots=True)
class Score:
    """A piece, read.

    Parameters
    ----------
    text : str
        The text that was read: for the gates, the finished one.
    voices : list of Voice
        In the header's order, undeclared ones last.
    prompt : tuple of str
        The lines ``%Period``, ``%Composer``, ``%Instrumentation`` without ``%``, if any.
    stream : bool
        True for text as the model writes it (``[r:i/j]`` markers or prompt lines and no
        ``X:``), where a resting voice may be left out of a line.
    interleaved : bool
        True when a line holds one bar of all voices.
    title, composer, key, metre_text, tempo_text : str
        Header fields; ``""`` where absent.
    unit : Fraction
        ``L:``, in whole notes.
    tempo : float or None
        Quarter notes a minute from ``Q:``; None where absent or unreadable.
    bar_count : int
        Bars of the longest voice.
    findings : list of Finding
        What the reader could not read, gate ``syntax``.
    derived : dict
        Arrays that the gates work out once and share (see
        :mod:`scoregate.validators.analysis.sounding`).
    """

    text: str
    voices: list[Voice] = field(default_factory=list)
    prompt: tuple[str, ...] = ()
    stream: bool = False
    interleaved: bool = True
    title: str = ""
    composer: str = ""
    key: str = ""
    metre_text: str = ""
    tempo_text: str = ""
    unit: Fraction = Fraction(1, 8)
    tempo: float | None = None
    bar_count: int = 0
    findings: list[Finding] = field(default_factory=list)
    derived: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


if loops is not None:
    loops.bind_score(Event, Bar, Voice, Fraction)
