"""The rules by which a line is refused: those of the gates, as far as the text so far can tell.

Each rule is a function of the state before the line and the state after it
(:mod:`scoregate.validators.line_state`). It returns whether the line breaks it. A line that
breaks a rule fails the gates in every finished piece that it stands in; two exceptions, which
the gates only warn of, are named where they are.
"""

from __future__ import annotations

from fractions import Fraction

from scoregate.abc.score import Score, Voice
from scoregate.validators.gates import repetition
from scoregate.validators.gates.marks import passes_of
from scoregate.validators.gates.parts import TRIADS
from scoregate.validators.line_state import LineState, repeat_signs
from scoregate.validators.verdict.thresholds import for_style

MOST_REMARKS = 40
"""Findings of the reader on one line from which it counts as no music."""
FEWEST = 4
"""Lines of one metre from which the gate ``bars`` asks for their usual length."""


def syntax(before: LineState, after: LineState) -> bool:
    """Whether the line can't be read, or is not one bar of each of its voices.

    A tie of the line before that leads to no note is found here as well.
    """
    names = [name for name, _ in after.row]
    if not names or len(set(names)) != len(names) or after.found > MOST_REMARKS:
        return True
    if any(finding.severity == "critical" for finding in after.remarks.findings):
        return True
    present = set(names)
    return any(voice.ties and voice.id not in present for voice in before.body.voices.values())


def counter(before: LineState, after: LineState) -> bool:
    """Whether the counter ``[r:i/j]`` does not go on: i up from 0, j down to 0, both by one.

    Nothing follows the line that is counted as the last. The gate only warns of a wrong j, where
    the last one is 0.
    """
    if after.counter is None or after.total is None:
        return False
    if before.counter is not None and before.counter[1] == 0:
        return True
    if after.counter is before.counter:
        return True  # a line without a counter behind lines with one
    index, left = after.counter
    expected = 0 if before.counter is None else before.counter[0] + 1
    return index != expected or index + left + 1 != after.total


def voices_differ(before: LineState, after: LineState) -> bool:
    """Whether the voices differ in length, metre or barline, or have no barline.

    The gate only warns of some differences between barlines, such as ``|`` beside ``|]``.
    """
    first = after.row[0][1]
    return not first.right or any(
        bar.right != first.right or bar.duration != first.duration or bar.metre != first.metre
        for _, bar in after.row
    )


def metre(before: LineState, after: LineState) -> bool:
    """Whether the line is longer than the metre, or shorter without an excuse.

    A line may be short at the beginning and the end, beside a special barline, by half at least
    where a new metre begins, and by whole beats where the next line completes it.
    """
    first = after.row[0][1]
    length, full = first.duration, first.metre
    if full is not None and length > full:
        return True
    completes = before.short is not None and length == before.short
    if before.short is not None and not completes:
        return True  # The line before was short, and only this one could complete it.
    if after.excused or completes:
        return False
    quarter = Fraction(1, 4)
    beat = quarter if full is None else min(Fraction(1, full.denominator), quarter)
    whole_beats = after.lacking is not None and (after.lacking / beat).denominator == 1
    return not whole_beats or before.short is not None


def usual_length(before: LineState, after: LineState) -> bool:
    """Whether more than half of the piece's lines are short in the same way."""
    first = after.row[0][1]
    if after.lacking is None or after.total is None or first.metre is None:
        return False
    count = after.lengths[first.metre, first.duration]
    return count >= FEWEST and 2 * count > after.total


def end(before: LineState, after: LineState) -> bool:
    """Whether a last line ties a note, or is short and has neither final barline nor pickup."""
    if after.counter is None or after.counter[1] or after.counter is before.counter:
        return False
    if any(voice.ties for voice in after.body.voices.values()):
        return True
    first = after.row[0][1]
    if after.lacking is None or after.body.row == 1 or first.right not in ("", "|"):
        return False
    return after.lacking not in before.pickups


def out_of_range(before: LineState, after: LineState) -> bool:
    """Whether a note is beyond what its instrument or voice can sound; grace notes may be."""
    ranges = after.head.ranges
    for name, bar in after.row:
        limits = ranges.get(name)
        if limits is None:
            continue
        low, high = limits
        for event in bar.events:
            if not event.grace:
                for pitch in event.pitches:
                    if not low <= pitch <= high:
                        return True
    return False


def unplayable_chord(before: LineState, after: LineState) -> bool:
    """Whether a bowed instrument has more notes than strings, or a wind player many triads."""
    if any(after.triads.get(name, 0) > TRIADS for name, _ in after.row):
        return True
    most = after.head.chords
    return bool(most) and any(
        len(event.pitches) > most[name] and not event.grace
        for name, bar in after.row
        if name in most
        for event in bar.events
    )


def ending(before: LineState, after: LineState) -> bool:
    """Whether a later ending begins without the one before it."""
    for name, bar in after.row:
        passes = passes_of(bar.ending) if bar.ending else set()
        waits, named = before.endings.get(name, (False, frozenset()))
        follows = waits or (named and min(passes, default=0) > max(named))
        if passes and 1 not in passes and not follows:
            return True
    return False


def repeat(before: LineState, after: LineState) -> bool:
    """Whether a repeat begins inside another; the gate only warns of it."""
    opened = before.open_repeat
    for sign in repeat_signs(before, after):
        if sign.startswith(":"):
            opened = False
        if sign.endswith(":"):
            if opened:
                return True
            opened = True
    return False


def loop(before: LineState, after: LineState) -> bool:
    """Whether the piece loops, for so many lines that the gate ``repetition`` rejects it.

    The gate is asked only where the rhythm of the last lines repeats as that of a loop must:
    distances between bars are at least those between their rhythms.
    """
    if after.total is None or after.rows is before.rows:
        return False
    share = after.head.loop
    least = max(repetition.SHORTEST_LOOP, -int(-share * after.total // 1))
    if not _may_loop(after.rhythms, least):
        return False
    bars: dict[str, Voice] = {name: Voice(name) for name in after.head.voices}
    for row in after.rows:
        for name, bar in row:
            bars.setdefault(name, Voice(name)).bars.append(bar)
    score = Score("", voices=list(bars.values()))
    outcome = repetition.check(score, style=after.head.style)
    looping = outcome.measures["repetition.loop_share"] * len(after.rows)
    return (
        for_style(after.head.style).severity("repetition.loop_share", looping / after.total)
        == "critical"
    )


def _may_loop(rhythms: tuple[int, ...], least: int) -> bool:
    """Whether the last lines could end a loop of so many lines, by their rhythms alone."""
    count = len(rhythms)
    for period in range(1, count // repetition.PERIODS + 1):
        length = max(repetition.PERIODS * period, least) - period
        if length + period > count:
            continue
        most, total = repetition.ALIKE * length, 0.0
        for place in range(count - 1, count - 1 - length, -1):
            one, other = rhythms[place], rhythms[place - period]
            if one != other:
                total += (one ^ other).bit_count() / (one | other).bit_count()
                if total > most:
                    break
        else:
            return True
    return False


RULES = {
    "syntax": syntax,
    "counter": counter,
    "voices differ": voices_differ,
    "metre": metre,
    "end": end,
    "usual length": usual_length,
    "range": out_of_range,
    "chord": unplayable_chord,
    "ending": ending,
    "repeat": repeat,
    "loop": loop,
}
"""By name, in the order in which they are asked: a line that can't be read is asked no more."""


def broken_rule(before: LineState, after: LineState) -> str | None:
    """Return the name of the first rule that a line breaks; None for a line that may stay."""
    for name, breaks in RULES.items():
        if breaks(before, after):
            return name
    return None
