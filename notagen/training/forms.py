"""The form of a training piece, read off the fermatas of its first voice."""

from __future__ import annotations

from fractions import Fraction

from scoregate.evaluation.form import cadence, melody_of
from scoregate.evaluation.reading import VoiceGrid, read_grid
from scoregate.form import MOST_PHRASES, Form, Phrase

LONGEST = 99
"""Most quarters of a phrase that the line of a form can say."""


def form_of(text: str) -> Form | None:
    """Return the form of a piece.

    Parameters
    ----------
    text : str
        Interleaved ABC.

    Returns
    -------
    Form or None
        None where fewer than two phrases end with a fermata or with the piece, or where a phrase is
        longer, or their number larger, than a form can say.
    """
    grid = read_grid(text)
    if not grid.notes or not grid.notes[0]:
        return None
    ends = _ends(grid)
    melodies: list[tuple] = []
    phrases: list[Phrase] = []
    before, start = Fraction(0), Fraction(-1)
    for end in ends:
        melodies.append(melody_of(grid, start, end))
        first = melodies.index(melodies[-1])
        letter = phrases[first].melody if first < len(phrases) else _next_letter(phrases)
        quarters = round(2 * (end - before)) / 2
        if not 0 < quarters <= LONGEST or len(ends) > MOST_PHRASES:
            return None
        phrases.append(_phrase(grid, letter, quarters, end))
        before = start = end
    return Form(tuple(phrases)) if len(phrases) > 1 else None


def _ends(grid: VoiceGrid) -> list[Fraction]:
    """When the last note of each phrase begins, in quarters."""
    ends: list[Fraction] = []
    for note in grid.notes[0]:
        if note.fermata:
            if ends and note.onset - ends[-1] <= 1:
                ends[-1] = note.onset
            else:
                ends.append(note.onset)
    last = grid.notes[0][-1].onset
    if not ends or last - ends[-1] >= 4:
        ends.append(last)
    return ends


def _next_letter(phrases: list[Phrase]) -> str:
    return chr(max((ord(phrase.melody) for phrase in phrases), default=ord("A") - 1) + 1)


def _phrase(grid: VoiceGrid, letter: str, quarters: float, end: Fraction) -> Phrase:
    found = cadence(grid, grid.at(end))
    degree = None if found.root is None else (found.root - grid.tonic) % 12
    return Phrase(letter, quarters, degree, found.major, found.kind)
