"""Guess from a piece's text by which profile it should be judged.

A guess never leaves the profile ``notagen`` for text that a model wrote: that has prompt lines,
markers, several voices in each line, or at least a ``V:`` field.
"""

from __future__ import annotations

import re

from scoregate.abc.score import Score

_WORDS = re.compile(r"^w:|\"[A-G][#b]?(?:m|min|maj|dim|aug|sus|[0-9])*(?:/[A-G][#b]?)?\"", re.M)
_OLD = (
    "cantus|superius|discantus|triplum|motetus|altus|contratenor|bassus|quintus|sextus|septimus"
    "|vagans|duplum|quadruplum|quinto|sesto"
)
_OLD_PARTS = re.compile(rf"\b(?:{_OLD})\b", re.IGNORECASE)
_EARLY_PARTS = re.compile(
    rf"\b(?:{_OLD}|tenor|contra|secundus|primus|quinta|sexta|canto|tenore|basso)\b", re.IGNORECASE
)
_MIDI = (".mid", ".midi")
UNBARRED = 4
"""Whole notes that a bar has on average in music that is not divided into measures."""
UNBARRED_PART = 16
"""The same for a part by itself, where a few barlines may only have been forgotten."""


def guess(score: Score, ending: str = "") -> str:
    r"""Return the name of the profile that a piece should be judged by.

    Parameters
    ----------
    score : Score
    ending : str
        Of the file that the text was converted from: ``.mid``; ``""`` for ABC.

    Examples
    --------
    >>> from scoregate.abc.reader import read
    >>> guess(read("X:1\nM:6/8\nK:G\nGAB c2d|G3 G3:|\n"))
    'folk'
    >>> guess(read("X:1\nM:4/4\nK:G\nG2AB c2d2|\nw:Fine words are these\n"))
    'melody'
    >>> guess(read("X:1\nM:4/4\nK:G\nV:1\nV:2\n[V:1]c8|][V:2]C8|]\n"))
    'notagen'
    >>> guess(read("X:1\nM:4/4\nK:G\nV:1\nc8|c8|]\nV:2\nC8|C8|]\n"))
    'score'
    """
    if ending.lower() in _MIDI:
        return "midi"
    if score.stream or (score.interleaved and len(score.voices) > 1):
        return "notagen"
    if _early(score):
        return "early"
    if len(score.voices) != 1:
        return "score"
    if score.voices[0].line is not None and not ending:
        return "notagen"
    return "melody" if ending or _WORDS.search(score.text) else "folk"


def _early(score: Score) -> bool:
    """Whether the parts are called as before 1600, or have no measures."""
    bars = [bar for voice in score.voices for bar in voice.bars]
    if not bars:
        return False
    average = float(sum(bar.duration for bar in bars)) / len(bars)
    if len(score.voices) < 2:
        return average > UNBARRED_PART
    names = [voice.name for voice in score.voices if voice.name]
    called = sum(_EARLY_PARTS.search(name) is not None for name in names)
    # A tenor may be a singer of any age.
    old = any(_OLD_PARTS.search(name) for name in names)
    if old and called >= 2:
        return True
    if all(bar.metre is None for bar in bars):
        return True
    return average > UNBARRED
