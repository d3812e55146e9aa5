"""The gate ``bars``: whether the voices of every bar agree and the metre holds.

To ask that every bar be as long as the metre would reject two thirds of good music: phrases
and repeats split bars, and pieces begin with a pickup. What holds in good music:

1. all voices of a bar are equally long;
2. no bar is longer than the metre, except one long note of all voices at the end;
3. a shorter bar has an excuse: it is the first or the last, stands beside a barline other
   than ``|``, completes its neighbour to a full bar, or is a pickup of half a bar at most with
   which a new metre begins;
4. a short last bar has a final barline, or completes a pickup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction

from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.score import Bar, Score, Voice
from scoregate.findings import Outcome
from scoregate.validators.registry import FunctionGate, Measure
from scoregate.validators.verdict.thresholds import for_style

NAME = "bars"
VERSION = "2"


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Judge the bars of a score.

    Parameters
    ----------
    score : Score
    style : str or None
        Style whose thresholds apply; they may set ``bars.rests_adapt``.

    Returns
    -------
    Outcome
        Measures: ``bars.count``; ``bars.equal``, the share of bars in which all voices
        are equally long; ``bars.full``, the share that are also as long as the metre.
    """
    remarks = FindingCollector(NAME)
    outcome = Outcome(NAME, VERSION)
    adapts = _rests_or_adapts if for_style(style).setting("bars.rests_adapt", 0) else _adapts
    voices = [voice for voice in score.voices if voice.bars]
    columns = _columns(score, voices, remarks)
    lengths: list[tuple[Fraction, Bar]] = []
    equal = full = 0
    for cells in columns:
        if _uniform(cells):
            model = cells[0][1]
            lengths.append((model.duration, model))
            equal += 1
            full += _same(model.metre, model.duration)
            continue
        length, alike = _agree(cells, remarks, adapts)
        model = next((bar for _, bar in cells if _same(bar.duration, length)), cells[0][1])
        lengths.append((length, model))
        equal += alike
        full += alike and _same(model.metre, length)
        _barlines(cells, remarks)
        _layers(cells, remarks)
    _usual_length(lengths, remarks)
    _metre(columns, lengths, remarks)
    if not score.stream:
        _breaks_off(columns, lengths, remarks)
    count = len(columns)
    outcome.findings = remarks.close()
    outcome.measures = {"bars.count": float(count)}
    if count:
        outcome.measures["bars.equal"] = equal / count
        outcome.measures["bars.full"] = full / count
    return outcome


Cells = list[tuple[Voice, Bar]]
"""One bar: the voices that have it, each with its own."""


def _columns(score: Score, voices: list[Voice], remarks: FindingCollector) -> list[Cells]:
    """Return the bars of the piece, each with all voices that have it."""
    counts = Counter(len(voice.bars) for voice in voices)
    if len(counts) > 1:
        usual = max(counts, key=lambda count: (counts[count], count))
        for voice in voices:
            if len(voice.bars) != usual:
                last = voice.bars[-1]
                remarks.add(
                    "count",
                    f"{len(voice.bars)} {'bar' if len(voice.bars) == 1 else 'bars'} found, "
                    f"{usual} expected",
                    "critical",
                    voice.id,
                    last.number,
                    last.line,
                    last.column,
                    str(len(voice.bars)),
                    str(usual),
                )
    most = max(counts, default=0)
    if len(counts) == 1:
        each = zip(*(voice.bars for voice in voices), strict=True)
        return [list(zip(voices, bars, strict=True)) for bars in each]
    return [
        [(voice, voice.bars[index]) for voice in voices if index < len(voice.bars)]
        for index in range(most)
    ]


def show(duration: Fraction, metre: str = "") -> str:
    """Return a duration as a time signature: ``7/8``.

    Parameters
    ----------
    duration : Fraction
        In whole notes.
    metre : str, optional
        Metre as written. Its beats are used where the duration is a multiple of them (5/8
        under ``6/8``, 2/4 under ``3/4``), otherwise quarters or the finest beats needed.
    """
    written = metre.rpartition("/")[2]
    beats = int(written) if written.isdigit() and len(written) < 4 else 4
    beats = max(beats, 4)
    if beats % duration.denominator:
        beats = max(4, duration.denominator)
    return f"{duration * beats}/{beats}" if beats % duration.denominator == 0 else str(duration)


def _same(one: Fraction | None, other: Fraction | None) -> bool:
    """Return whether two lengths are equal.

    The reader has one Fraction for each length, and identity is told ten times as fast.
    """
    return one is other or one == other


def _uniform(cells: Cells) -> bool:
    """Return whether nothing has to be asked of a bar: all voices have the same length and barline.

    Most bars are so, and one look at each voice is enough.
    """
    first = cells[0][1]
    length, right = first.duration, first.right
    for _, bar in cells:
        events = bar.events
        if bar.duration is not length or bar.right != right or bar.inner:
            return False
        if events and events[-1].overlay:
            return False
    return True


def _agree(
    cells: Cells, remarks: FindingCollector, adapts: Callable[[Bar], bool]
) -> tuple[Fraction, bool]:
    """Find the length that most voices give a bar, and report those that deviate."""
    first = cells[0][1].duration
    if all(_same(bar.duration, first) for _, bar in cells):
        return first, True
    votes = Counter(bar.duration for _, bar in cells if not adapts(bar) and not bar.implied)
    if not votes:
        return cells[0][1].metre or first, True
    metres = {bar.metre for _, bar in cells}
    written = cells[0][1].metre_text
    most = max(votes.values())
    leaders = [length for length, count in votes.items() if count == most]
    length = next((lead for lead in leaders if lead in metres), max(leaders))
    alike = True
    for voice, bar in cells:
        if bar.duration != length and not adapts(bar) and not bar.implied:
            alike = False
            remarks.add(
                "voices-disagree",
                f"{show(bar.duration, written)} found, {show(length, written)} expected",
                "critical",
                voice.id,
                bar.number,
                bar.line,
                bar.column,
                show(bar.duration, written),
                show(length, written),
            )
    return length, alike


def _adapts(bar: Bar) -> bool:
    """Return whether the bar is a whole-bar rest ``Z``, which is as long as the others."""
    return len(bar.events) == 1 and bar.events[0].text[:1] in ("Z", "X")


def _rests_or_adapts(bar: Bar) -> bool:
    """Return whether the bar only rests, for a full bar or several."""
    return _adapts(bar) or (
        bool(bar.events)
        and not any(event.pitches for event in bar.events)
        and bar.metre is not None
        and (bar.duration / bar.metre).denominator == 1
    )


def _barlines(cells: Cells, remarks: FindingCollector) -> None:
    """Report a voice whose barline is missing or repeats where the others don't."""
    first = cells[0][1].right
    if all(bar.right == first and not bar.inner for _, bar in cells):
        return
    rights = Counter(bar.right for _, bar in cells)
    usual = max(rights, key=lambda right: (rights[right], right))
    for voice, bar in cells:
        if bar.right != usual:
            missing = not bar.right
            repeats = (":" in bar.right) != (":" in usual)
            remarks.add(
                "barline-missing" if missing else "barlines-disagree",
                "the barline is missing" if missing else "another barline than the other voices",
                "critical" if missing or repeats else "warning",
                voice.id,
                bar.number,
                bar.line,
                bar.column,
                bar.right or "none",
                usual,
            )
        if bar.inner and len(cells) > 1:
            remarks.add(
                "barline-inside",
                "a barline within the bar",
                "critical",
                voice.id,
                bar.number,
                bar.line,
                bar.column,
                " ".join(bar.inner),
            )


def _layers(cells: Cells, remarks: FindingCollector) -> None:
    """Report a layer after ``&`` that is longer or shorter than its bar."""
    for voice, bar in cells:
        if not bar.events or not bar.events[-1].overlay:
            continue
        lengths: dict[int, Fraction] = {}
        for event in bar.events:
            lengths[event.overlay] = event.onset + event.duration
        for layer, length in lengths.items():
            if layer and length != bar.duration:
                remarks.add(
                    "layer",
                    f"the layer behind & has {show(length, bar.metre_text)}, "
                    f"the bar {show(bar.duration, bar.metre_text)}",
                    "critical" if length > bar.duration else "warning",
                    voice.id,
                    bar.number,
                    bar.line,
                    bar.column,
                    show(length, bar.metre_text),
                    show(bar.duration, bar.metre_text),
                )


def _usual_length(lengths: list[tuple[Fraction, Bar]], remarks: FindingCollector) -> None:
    """Report a metre under which most bars are short in the same way.

    Short bars in a row complete one another two by two, so that a piece of 2/4 bars under
    4/4 would be excused bar by bar.
    """
    sections: dict[Fraction, list[tuple[Fraction, Bar]]] = {}
    section: list[tuple[Fraction, Bar]] = []
    before: Fraction | None = None
    for length, bar in lengths:
        if bar.metre is None:
            continue
        if bar.metre is not before:  # to hash a Fraction takes longer than all else here
            before = bar.metre
            section = sections.setdefault(before, [])
        section.append((length, bar))
    for metre, bars in sections.items():
        usual, count = _most_common([length for length, _ in bars])
        if len(bars) >= 4 and usual < metre and 2 * count > len(bars):
            first = next(bar for length, bar in bars if length == usual)
            written = first.metre_text
            remarks.add(
                "metre",
                f"most bars are {show(usual, written)} long, the metre says {show(metre, written)}",
                "critical",
                None,
                first.number,
                first.line,
                first.column,
                show(usual, written),
                show(metre, written),
            )


def _most_common(lengths: list[Fraction]) -> tuple[Fraction, int]:
    """Return the length that occurs most often, and how often; the first of several."""
    by_identity = {id(length): length for length in lengths}
    counts: Counter[Fraction] = Counter()
    for number, count in Counter(map(id, lengths)).items():
        counts[by_identity[number]] += count
    return counts.most_common(1)[0]


def _metre(
    columns: list[Cells], lengths: list[tuple[Fraction, Bar]], remarks: FindingCollector
) -> None:
    """Report every bar that is longer or shorter than the metre in force, without excuse."""
    for index, (length, bar) in enumerate(lengths):
        metre = bar.metre
        if metre is None or _same(length, metre):
            continue
        if length > metre:
            code, excused = "too-long", index == len(lengths) - 1 and _long_note(columns[index])
        else:
            code, excused = "too-short", _excused(columns, lengths, index)
        if not excused:
            alone = columns[index][0][0].id if len(columns[index]) == 1 else None
            remarks.add(
                code,
                f"{show(length, bar.metre_text)} found, {show(metre, bar.metre_text)} expected",
                "critical",
                alone,
                bar.number,
                bar.line,
                bar.column,
                show(length, bar.metre_text),
                show(metre, bar.metre_text),
            )


def _breaks_off(
    columns: list[Cells], lengths: list[tuple[Fraction, Bar]], remarks: FindingCollector
) -> None:
    """Report a short last bar that neither a final barline nor a pickup explains.

    In a stream the markers tell whether the piece is complete.
    """
    if not lengths or any(bar.right not in ("", "|") for _, bar in columns[-1]):
        return
    length, bar = lengths[-1]
    metre = bar.metre
    if metre is None or length >= metre or len(lengths) == 1:
        return
    # A pickup at the beginning, or after a barline that ends a section.
    before = [lengths[0], *(later for later in lengths[1:-1] if later[1].left not in ("", "|"))]
    if any(pickup + length == metre for pickup, _ in before):
        return
    voice, place = columns[-1][0]
    remarks.add(
        "breaks-off",
        f"the piece breaks off: its last bar has {show(length, bar.metre_text)} of "
        f"{show(metre, bar.metre_text)} and no final barline",
        "critical",
        voice.id,
        place.number,
        place.line,
        place.column,
        show(length, bar.metre_text),
        show(metre, bar.metre_text),
    )


def _long_note(cells: Cells) -> bool:
    """Return whether every voice holds one note through whole bars, as in a last bar."""
    for _, bar in cells:
        longer = bar.metre is not None and (bar.duration / bar.metre).denominator == 1
        if not longer or sum(event.duration > 0 for event in bar.events) != 1:
            return False
    return True


def _excused(columns: list[Cells], lengths: list[tuple[Fraction, Bar]], index: int) -> bool:
    """Return whether a short bar may be short."""
    if index in (0, len(lengths) - 1):
        return True
    length, bar = lengths[index]
    for _, other in columns[index]:
        if other.right not in ("", "|") or other.left not in ("", "|") or other.ending:
            return True
    metre = bar.metre
    if metre is not None and lengths[index - 1][1].metre != metre and 2 * length <= metre:
        return True  # the pickup of what follows in the new metre
    return any(
        lengths[neighbour][0] + length == metre
        for neighbour in (index - 1, index + 1)
        if lengths[neighbour][1].metre == metre
    )


GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="Do the voices of every bar agree, and does the metre hold?",
    check=check,
    measures=(
        Measure("bars.count", "Bars", "how many are written", 0),
        Measure("bars.equal", "Voices agree", "share of bars whose voices have the same length", 3),
        Measure("bars.full", "Full bars", "share of bars that fill their metre", 3),
    ),
)
