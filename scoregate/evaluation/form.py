"""Cadences, the plan of keys, and form, all read off the fermatas that end a chorale's phrases."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from scoregate.evaluation.reading import VoiceGrid

MAJOR, MINOR = frozenset((4, 7)), frozenset((3, 7))
AUTHENTIC, HALF, PLAGAL, OTHER = "authentic", "half", "plagal", "other"


@dataclass(frozen=True, slots=True)
class Cadence:
    """The end of a phrase.

    Attributes
    ----------
    kind : str
        ``authentic``, ``half``, ``plagal`` or ``other``.
    root : int or None
        Pitch class of the last chord's root; None where it is no triad.
    moment : int
        Where the last chord begins.
    major : bool
        Whether its triad is major; True where it is no triad.
    """

    kind: str
    root: int | None
    moment: int
    major: bool = True


def triad_root(classes: set[int]) -> tuple[int, bool] | None:
    """Root of a major or minor triad and whether it is major; None for anything else.

    The fifth may be missing, and root and fifth alone do not count.
    """
    for root in classes:
        shape = {(x - root) % 12 for x in classes} - {0}
        if shape in ({4, 7}, {4}):
            return root, True
        if shape in ({3, 7}, {3}) and not (shape == {3} and len(classes) == 1):
            return root, False
    return None


def phrase_ends(grid: VoiceGrid) -> list[int]:
    """Moments at which a fermata begins, and the last moment; one for each phrase.

    Fermatas less than a quarter apart are one, the later one counts.
    """
    ends: list[int] = []
    for moment in [i for i, x in enumerate(grid.fermata) if x] or []:
        if ends and grid.times[moment] - grid.times[ends[-1]] <= 1:
            ends[-1] = moment
        else:
            ends.append(moment)
    last = _last_sounding(grid)
    if last is not None and (not ends or grid.times[last] - grid.times[ends[-1]] >= 4):
        ends.append(last)
    return ends


def _last_sounding(grid: VoiceGrid) -> int | None:
    begun = [i for i in range(len(grid.times)) if grid.begins[:, i].any()]
    return begun[-1] if begun else None


def cadence(grid: VoiceGrid, moment: int) -> Cadence:
    """Classify the end of a phrase whose last chord begins at a moment.

    Authentic: a triad in root position, preceded within a beat by a chord that has its leading
    tone and its fifth or second. Half: a major triad on the fifth of the key signature's major
    or minor key, otherwise reached. Plagal: a triad in root position preceded by the triad on
    its fourth. Where the chord is not yet a triad at its beginning (a suspension), the moments up
    to a beat later are tried.
    """
    final = None
    for later in range(moment, min(moment + 5, len(grid.times))):
        if grid.times[later] - grid.times[moment] > 1:
            break
        final = triad_root(_classes(grid, later))
        if final is not None:
            break
    if final is None:
        return Cadence(OTHER, None, moment)
    root, major = final
    before = [
        _classes(grid, i)
        for i in range(max(moment - 6, 0), moment)
        if grid.times[moment] - grid.times[i + 1] < Fraction(3, 2)
    ]
    bass = int(grid.pitch[-1, moment]) % 12
    leading, fifth, second, fourth = ((root + x) % 12 for x in (11, 7, 2, 5))
    dominant = any(leading in c and (fifth in c or second in c) for c in before)
    if bass == root and dominant:
        return Cadence(AUTHENTIC, root, moment, major)
    tonics = (grid.fifths * 7 % 12, (grid.fifths * 7 + 9) % 12)
    if major and root in {(t + 7) % 12 for t in tonics}:
        return Cadence(HALF, root, moment, major)
    if bass == root and any((found := triad_root(c)) and found[0] == fourth for c in before):
        return Cadence(PLAGAL, root, moment, major)
    return Cadence(OTHER, root, moment, major)


def _classes(grid: VoiceGrid, moment: int) -> set[int]:
    return {int(p) % 12 for p in grid.pitch[:, moment] if p}


def phrases(grid: VoiceGrid) -> list[tuple]:
    """Melody of each phrase: pitches and durations of the first voice, the last duration apart."""
    found: list[tuple] = []
    start = Fraction(-1)
    for moment in phrase_ends(grid):
        end = grid.times[moment]
        melody = melody_of(grid, start, end)
        if melody:
            found.append(melody)
        start = end
    return found


def melody_of(grid: VoiceGrid, start: Fraction, end: Fraction) -> tuple:
    """Return what the first voice sings after ``start`` up to the note at ``end``, in quarters.

    Pitches and durations; how long the last note is held is no part of the melody.
    """
    melody = [(n.pitch, n.duration) for n in grid.notes[0] if start < n.onset <= end]
    return (*melody[:-1], melody[-1][0]) if melody else ()


def returning(grid: VoiceGrid) -> float:
    """Share of phrases after the first whose melody is that of an earlier one; NaN below two."""
    every = phrases(grid)
    if len(every) < 2:
        return float("nan")
    return sum(p in every[:i] for i, p in enumerate(every[1:], 1)) / (len(every) - 1)


def measures(grid: VoiceGrid) -> dict[str, float]:
    """All figures of this module; shares are NaN for a piece without a phrase."""
    nan = float("nan")
    found = [cadence(grid, moment) for moment in phrase_ends(grid)] if grid.notes else []
    count = len(found)
    lengths = [len(p) for p in phrases(grid)] if grid.notes else []
    tonics = (grid.fifths * 7 % 12, (grid.fifths * 7 + 9) % 12)
    roots = {c.root for c in found if c.root is not None}
    return {
        "authentic cadences": sum(c.kind == AUTHENTIC for c in found) / count if count else nan,
        "half cadences": sum(c.kind == HALF for c in found) / count if count else nan,
        "other cadences": sum(c.kind == OTHER for c in found) / count if count else nan,
        "authentic last cadence": float(found[-1].kind == AUTHENTIC) if count else nan,
        "ends in its key": float(found[-1].root in tonics) if count else nan,
        "cadences off the tonic": sum(c.root not in tonics for c in found) / count
        if count else nan,
        "different cadence roots": float(len(roots)) if count else nan,
        "phrases": float(count),
        "notes a phrase": sum(lengths) / len(lengths) if lengths else nan,
        "phrases that return": returning(grid) if grid.notes else nan,
        "triple metre": float(grid.metre.split("/")[0] in ("3", "6", "9")),
    }  # fmt: skip
