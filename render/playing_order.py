"""The order in which the bars of a piece are played: repeats and endings unfolded."""

from __future__ import annotations

from scoregate.abc.score import Score


def playing_order(score: Score, most: int) -> list[int]:
    """Return indices of bars (from 0) in the order of playing.

    Repeat signs count wherever one voice has them: in the text that models write, they
    stand in all voices or are a slip in one. A repeat without a beginning goes back to the
    last one's end or to the beginning of the piece; nothing is played more than as often as
    its sign says.

    Parameters
    ----------
    score : Score
    most : int
        When unfolding gives more bars than this, the bars are played once through.
    """
    count = max((len(voice.bars) for voice in score.voices), default=0)
    begins = [False] * count
    ends = [0] * count
    closes = [False] * count
    endings: list[frozenset[int]] = [frozenset()] * count
    for voice in score.voices:
        for index, bar in enumerate(voice.bars):
            if bar.left.endswith(":"):
                begins[index] = True
            right = bar.right.strip()
            if right.startswith(":"):
                ends[index] = max(ends[index], _colons(right))
            closes[index] = closes[index] or right not in ("", "|")
            if index + 1 < count and (right == "::" or right.endswith("|:")):
                begins[index + 1] = True
            endings[index] = endings[index] or _turns(bar.ending)
    order = _unfold(begins, ends, closes, endings, most)
    return list(range(count)) if len(order) > most else order


def _unfold(
    begins: list[bool],
    ends: list[int],
    closes: list[bool],
    endings: list[frozenset[int]],
    most: int,
) -> list[int]:
    within = _within_endings(begins, closes, endings)
    last_of_turn = {turn: index for index, turns in enumerate(endings) for turn in turns}
    taken = [0] * len(begins)
    order: list[int] = []
    start, turn, index = 0, 1, 0
    while index < len(begins) and len(order) <= most:
        if begins[index] and index != start:
            start, turn = index, 1
        if endings[index] and turn not in endings[index]:
            index = _behind(index, within)  # It belongs to another turn.
            continue
        order.append(index)
        if ends[index] and within[index] >= 0:
            # Behind an ending it goes back only for a turn that has an ending of its own.
            if last_of_turn.get(turn + 1, -1) > start:
                turn += 1
                index = start
                continue
        elif ends[index] and taken[index] < ends[index]:
            start = _section_start(start, index, within)
            taken[index] += 1
            turn = taken[index] + 1
            index = start
            continue
        elif ends[index]:
            start, turn = index + 1, 1
        index += 1
    return order


def _within_endings(
    begins: list[bool], closes: list[bool], endings: list[frozenset[int]]
) -> list[int]:
    """Return for each bar where the ending it belongs to began; -1 outside of one.

    An ending lasts to a barline other than the plain one; one whose end nothing marks is
    taken to be as long as its first bar.
    """
    within = [-1] * len(begins)
    for index, numbers in enumerate(endings):
        if not numbers:
            continue
        close = index
        while close < len(begins) and not closes[close]:
            close += 1
            if close < len(begins) and (begins[close] or endings[close]):
                close -= 1
                break
        last = close if close < len(begins) and closes[close] else index
        within[index : last + 1] = [index] * (last + 1 - index)
    return within


def _behind(index: int, within: list[int]) -> int:
    first = within[index]
    while index < len(within) and within[index] == first:
        index += 1
    return index


def _section_start(start: int, index: int, within: list[int]) -> int:
    """Return where a repeat without a beginning goes back to: behind the last ending."""
    while index > start and within[index - 1] < 0:
        index -= 1
    return index


def _colons(barline: str) -> int:
    """``:|`` is played once more, ``::|`` twice more; ``::`` and ``:|:`` close one repeat."""
    leading = len(barline) - len(barline.lstrip(":"))
    return 1 if barline.strip() in ("::", ":|:", ":||:") else min(max(leading, 1), 5)


def _turns(ending: str) -> frozenset[int]:
    """Return for which turns an ending is meant: ``1,3`` for two, ``1-3`` for three."""
    turns: set[int] = set()
    for part in ending.split(","):
        first, _, last = (number.strip() for number in part.partition("-"))
        if first.isdigit() and len(first) < 4:
            upper = int(last) if last.isdigit() and len(last) < 4 else int(first)
            turns.update(range(int(first), min(upper, int(first) + 20) + 1))
    return frozenset(turns)
