"""The gate ``syntax``: whether the text can be read, by the reader and by abc2midi.

The findings of the reader come first. abc2midi, an independent and widely used program, is
then judged by its messages and by the MIDI it writes; its exit code is 0 for nearly every
faulty text. Messages about errors of notation become findings. Messages about limits of
abc2midi (sixteen MIDI channels, unknown decorations) are no fault of the piece, and those
about what other gates judge better (the length of bars) are left to these gates.

abc2midi gets the piece without what only it can't take, and without what it would play more
than once (:mod:`scoregate.validators.abc2midi_input`). Dynamics are switched off because its
diminuendos fade notes to a velocity of 0, which is silence. docs/abc2midi.md has the details.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from scoregate.abc.finding_collector import NOT_MUSIC
from scoregate.abc.score import Bar, Score, Voice
from scoregate.findings import Finding, Outcome
from scoregate.validators import abc2midi
from scoregate.validators.abc2midi_input import Prepared, prepared
from scoregate.validators.abc2midi_together import run_together
from scoregate.validators.analysis.midi_counts import tracks
from scoregate.validators.analysis.sounding import notes
from scoregate.validators.registry import Measure
from scoregate.validators.verdict.thresholds import for_style

NAME = "syntax"
VERSION = "1"

_TOGETHER = "abc2midi together"
_MOST = 8
"""Findings that are made of abc2midi's messages; a broken piece has hundreds of them."""

_MESSAGES = re.compile(r"(Error|Warning) in line-char (\d+)-(\d+) : (.{0,200})")

# Messages that are about no fault of the piece, or about what another gate judges.
_IGNORED = re.compile(
    # Limits and habits of abc2midi.
    r"Channel limit exceeded|All 16 MIDI channels|Exceeded maximum note denominator"
    r"|I: key .* not recognized|instruction !.*! (?:ignored|is deprecated)|Extending"
    r"|Rolls and trills not supported|V:.* out of sequence|First V: field|Slur within slur"
    r"|Number of available voices|chord name|Guitar Chord|gchord|Bad format for|MIDI command"
    r"|[Ll]yrics|w: field|syllables|No M: in header|Unusual key representation"
    r"|Hornpipe must be in"
    r"|Ignoring string .* in K:|clef .* not recognized|malformed Q:|Expecting = in tempo"
    # The reader judges broken rhythm, and knows what may stand between > and its note.
    r"|Cannot apply broken rhythm"
    # Repeats are blanked out before, so messages about them are not about the piece.
    r"|repeat|:\||\|:|variant ending|multiple endings"
    # The bars gate judges bars, and knows pickups and split bars.
    r"|Track \d+ Bar \d+ has|Track \d+ is .* quarter notes long",
    re.IGNORECASE,
)
# Faults of notation, by their code; an error of another kind is `error`.
_FAULTS = tuple(
    (code, re.compile(pattern, re.IGNORECASE))
    for code, pattern in (
        ("no-tune", r"No tune processed|No X: field preceding|No valid K: field"),
        ("tie", r"Could not find note to be tied|Bad tie|Cannot find note before tie"),
        ("broken-rhythm", r"Too many [<>]"),
        ("tuplet", r"tuple"),
        ("chord", r"chord|\]"),
        ("grace", r"grace|[{}]"),
        ("character", r"unrecognized character|illegal note|Malformed note"),
        ("unclosed", r"double quote|closing"),
    )
)
# Warnings after which the notes are not those of the text.
_SERIOUS_WARNING = re.compile(r"Bad tie|[Uu]nequal notes in chord|Sustained notes beyond")

_UNSAFE = re.compile(
    r"abc-include|ptstress"
    r"|^[ \t]*%%[ \t]*(?:include|format|eps|ps|postscript|beginps|beginjs|beginsvg|js|javascript)\b"
    r"|(?:^|\[)[ \t]*I:[ \t]*(?:include|format|eps|postscript|beginps|beginjs|beginsvg)\b",
    re.IGNORECASE | re.MULTILINE,
)

_UNSAFE_WORDS = ("include", "ptstress", "format", "ps", "postscript", "js", "svg", "javascript")
"""One of them is in every directive that `_UNSAFE` finds, and they are looked for much faster."""

# A roll or a trill becomes several notes, P: an order of parts, a volta a second pass.
_PLAYED_OUT = re.compile(r"~|[!+](?:roll|trill)|^P:.*\)?\d|\[[1-9]", re.MULTILINE)


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Judge a piece by the reader's findings and by abc2midi.

    Parameters
    ----------
    score : Score
    style : str or None
        The rules are the same in every style. The setting ``syntax.abc2midi`` 0 leaves
        abc2midi out.

    Returns
    -------
    Outcome
        Not judged when abc2midi crashed or reached a limit. Measures ``syntax.notes_read``
        and ``syntax.notes_heard``, where no finding is critical.

    Raises
    ------
    ToolError
        When there is no abc2midi.
    """
    outcome = Outcome(NAME, GATE.version)
    outcome.findings = list(score.findings)
    unsafe = unsafe_directives(score.text)
    outcome.findings += unsafe
    no_music = any(finding.code == NOT_MUSIC for finding in score.findings)
    if unsafe or no_music or not score.voices:
        return outcome
    if not for_style(style).setting("syntax.abc2midi", 1):
        return outcome
    given = prepared(score)
    together = score.derived.get(_TOGETHER)
    if together is not None:
        heard = Outcome(NAME, GATE.version, findings=list(outcome.findings))
        _judge_run(heard, together, given, score)
        if len(heard.findings) == len(outcome.findings):
            return heard
    run = abc2midi.run(given.text)
    if run.failure:
        outcome.judged = False
        outcome.reason = f"abc2midi {run.failure}"
        return outcome
    _judge_run(outcome, run, given, score)
    return outcome


def hear_together(scores: Sequence[Score]) -> None:
    """Run abc2midi over several scores at once, for when they are judged.

    A piece of which the run says that anything is wrong is run again by itself, so that
    verdicts are those of :func:`check` without this.
    """
    chosen = [
        score
        for score in scores
        if score.voices
        and not any(finding.severity == "critical" for finding in score.findings)
        and not unsafe_directives(score.text)
    ]
    runs = run_together([prepared(score).text for score in chosen])
    for score, run in zip(chosen, runs, strict=True):
        if run is not None:
            score.derived[_TOGETHER] = run


def _judge_run(outcome: Outcome, run: abc2midi.Run, given: Prepared, score: Score) -> None:
    """Add what a run that ended in order says of a piece."""
    _take_messages(outcome, run.messages, given.added, score)
    if not any(finding.severity == "critical" for finding in outcome.findings):
        _compare_notes(outcome, run.midi, score, given.untied)


def unsafe_directives(text: str) -> list[Finding]:
    """Find directives that make a program read or write files, or run code.

    abc2midi reads any file by ``%%abc-include`` and opens one by ``%%MIDI ptstress``;
    other programs run PostScript or JavaScript. No program is run over such a text.
    """
    found = []
    if text.isascii():
        lowered = text.lower()
        if not any(word in lowered for word in _UNSAFE_WORDS):
            return found
    for match in _UNSAFE.finditer(text):
        if len(found) == _MOST:
            break
        begin = text.rfind("\n", 0, match.end()) + 1
        found.append(
            Finding(
                NAME,
                "syntax.unsafe-directive",
                "critical",
                "a directive that reads files or runs code is refused",
                line=text.count("\n", 0, match.end()) + 1,
                column=max(match.start() - begin, 0) + 1,
                found=match[0].strip()[:40],
            )
        )
    return found


def _take_messages(outcome: Outcome, messages: str, added: list[int], score: Score) -> None:
    """Make findings of the messages that tell of a fault of the piece."""
    seen: set[tuple[str, int, int]] = set()
    # Where the reader has found a fault of the header, abc2midi finds no tune because of it.
    faulty = any(finding.severity == "critical" for finding in score.findings)
    places = None
    for kind, number, character, message in _MESSAGES.findall(messages):
        fault = _fault(kind, message)
        if fault is None or (fault == "no-tune" and faulty):
            continue
        line, column = int(number) - bisect_right(added, int(number)), int(character) + 1
        if (fault, line, column) in seen:
            continue
        seen.add((fault, line, column))
        places = places or _places(score)
        voice, bar = _where(places, line, column)
        if any(_same_place(known, line, voice, column) for known in score.findings):
            continue
        if len(seen) > _MOST:
            break
        outcome.findings.append(
            Finding(
                NAME,
                f"syntax.abc2midi-{fault}",
                "critical",
                f"abc2midi: {message.strip()}",
                voice,
                bar,
                line,
                column,
            )
        )


def _fault(kind: str, message: str) -> str | None:
    """Return the code of the fault that a message is about; None for no fault."""
    if _IGNORED.search(message) or (kind == "Warning" and not _SERIOUS_WARNING.search(message)):
        return None
    return next((code for code, pattern in _FAULTS if pattern.search(message)), "error")


Places = dict[int, list[tuple[int, str, int]]]
"""By line of the text: the column, voice and number of each bar that begins on it."""


def _places(score: Score) -> Places:
    """Return where the bars of a score begin in its text."""
    places: Places = {}
    for voice in score.voices:
        for bar in voice.bars:
            if not bar.implied:
                places.setdefault(bar.line, []).append((bar.column, voice.id, bar.number))
    for row in places.values():
        row.sort()
    return places


def _where(places: Places, line: int, column: int) -> tuple[str | None, int | None]:
    """Return the voice and the bar at a position of the text."""
    row = places.get(line)
    if not row:
        return None, None
    index = bisect_right([start for start, _, _ in row], column) - 1
    _, voice, bar = row[max(index, 0)]
    return voice, bar


def _same_place(known: Finding, line: int, voice: str | None, column: int) -> bool:
    """Return whether the reader has reported a fault at this position."""
    if known.severity == "info" or known.line != line:
        return False
    if known.voice is not None and voice is not None:
        return known.voice == voice
    return known.column is None or abs(known.column - column) <= 8


def _plays_more(score: Score) -> bool:
    """Return whether more is played than written: repeats, order of parts, ornaments."""
    repeated = any(":" in bar.right + bar.left for voice in score.voices for bar in voice.bars)
    return repeated or _PLAYED_OUT.search(score.text) is not None


def _compare_notes(outcome: Outcome, midi: bytes, score: Score, untied: int) -> None:
    """Report when abc2midi plays fewer notes than the reader read, or more."""
    sounding = notes(score)
    read = int(np.count_nonzero(sounding.starts & ~sounding.grace))
    heard = sum(track.notes for track in tracks(midi)) if midi else 0
    outcome.measures["syntax.notes_read"] = float(read)
    outcome.measures["syntax.notes_heard"] = float(heard)
    if heard < read or (heard > read + untied and not _plays_more(score)):
        first = _first_lost(midi, score) if 0 < heard < read else None
        voice, bar = first or (None, None)
        outcome.findings.append(
            Finding(
                NAME,
                "syntax.notes-lost" if heard < read else "syntax.notes-gained",
                "critical" if heard < read else "warning",
                f"abc2midi plays {heard} {'note' if heard == 1 else 'notes'} where {read} "
                f"{'is' if read == 1 else 'are'} written"
                + (": the first that it leaves out is in this bar" if bar is not None else ""),
                voice.id if voice is not None else None,
                bar.number if bar is not None else None,
                bar.line if bar is not None else None,
                bar.column if bar is not None else None,
                found=str(heard),
                expected=str(read),
            )
        )


_GRID = 480
"""Parts of a whole note to which times are rounded: abc2midi writes them a tick late."""


def _first_lost(midi: bytes, score: Score) -> tuple[Voice, Bar] | None:
    """Return voice and bar of the first note that abc2midi does not play.

    Its tracks are the voices, in the order in which they stand in the text, behind one for the
    tempo where there are several. None where they can't be told apart.
    """
    played = tracks(midi, onsets=True)
    voices = [voice for voice in score.voices if voice.bars]
    played = played[-len(voices) :] if len(played) - len(voices) in (0, 1) else []
    first: tuple[Fraction, Voice, Bar] | None = None
    for voice, track in zip(voices, played, strict=False):
        left = Counter(round(onset * _GRID) for onset in track.onsets)
        begin = Fraction(0)
        for bar in voice.bars:
            for event in bar.events:
                if event.grace or not event.pitches:
                    continue
                onset = begin + event.onset
                time = round(onset * _GRID)
                near = next((t for t in (time, time - 1, time + 1) if left[t] > 0), time)
                left[near] -= len(set(event.pitches) - set(event.tied_pitches))
                if left[near] < 0 and (first is None or onset < first[0]):
                    first = onset, voice, bar
            begin += bar.duration
    return first[1:] if first is not None else None


class SyntaxGate:
    """The gate; a class, because its version depends on the abc2midi that is found."""

    name = NAME
    asks = "Can the text be read, by the reader and by abc2midi?"
    measures = (
        Measure("syntax.notes_read", "Notes read", "how many the gate finds in the text", 0),
        Measure("syntax.notes_heard", "Notes heard", "how many abc2midi plays of the same text", 0),
    )
    production_only = False

    @property
    def version(self) -> str:
        """Version of this module and of abc2midi.

        Raises
        ------
        ToolError
            When there is no abc2midi.
        """
        return f"{VERSION} (abc2midi {abc2midi.find().version})"

    def check(self, score: Score, *, style: str | None = None) -> Outcome:
        """Judge a score; see the function `check`."""
        return check(score, style=style)


GATE = SyntaxGate()
