r"""ABC notation: reading, finishing and writing; the only place of the program that knows it.

`finish` turns a text as a model writes it into finished ABC, and `read` turns a text into a
:class:`Score`: voices, bars and events, with everything that can't be read as findings.

The modules, from the text to the score: ``lexer`` (tokens), ``note_tokens``, ``keys``,
``lengths`` and ``fields`` (what tokens and fields say), ``header``, ``body`` and
``voice_reader`` (lines to bars), ``reader`` (all together), ``score`` (the result), ``finish``
(finished ABC), ``writing`` (lengths and rests).

Examples
--------
>>> score = read("X:1\nL:1/4\nM:4/4\nK:G\nGABc|d4|]\n")
>>> score.bar_count, score.findings
(2, [])
>>> [event.pitches for event in score.voices[0].bars[0].events]
[(67,), (69,), (71,), (72,)]
"""

from scoregate.abc.finish import Finished, finish
from scoregate.abc.reader import read
from scoregate.abc.score import Bar, Event, Score, Voice
from scoregate.abc.source_text import split_tunes

__all__ = ["Bar", "Event", "Finished", "Score", "Voice", "finish", "read", "split_tunes"]
