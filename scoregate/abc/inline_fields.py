"""Fields within the music: ``[K:...]``, ``[M:...]``, ``[L:...]`` and their like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoregate.abc.fields import read_metre, read_properties, read_unit, tempo_fault, unreadable
from scoregate.abc.keys import read_key
from scoregate.abc.note_tokens import tokens_of

if TYPE_CHECKING:
    from scoregate.abc.voice_reader import VoiceReader

_SILENT = frozenset("ABCDEFGHINOPRSTWrsw")
"""Fields that change nothing of what the gates look at."""


def take_field(voice: VoiceReader, letter: str, value: str, line: int, column: int) -> None:
    """Put a field in force for one voice, from where it stands.

    Parameters
    ----------
    voice : VoiceReader
    letter, value : str
        ``K`` and ``Dm`` of ``[K:Dm]``.
    line, column : int
        Where it stands, both from 1.
    """
    if letter == "K":
        key = read_key(value)
        if key is None:
            voice.fault("key-unreadable", unreadable("K", value), line, column, value[:30])
            return
        if key.given:
            voice.set_key(key.name, key.alterations)
        voice.set_properties(read_properties(key.rest))
    elif letter == "M":
        metre = read_metre(value)
        if metre is None:
            voice.fault("metre-unreadable", unreadable("M", value), line, column, value[:30])
        else:
            voice.set_metre(metre)
    elif letter == "L":
        unit = read_unit(value)
        if unit is None:
            voice.fault("unit-unreadable", unreadable("L", value), line, column, value[:30])
        else:
            voice.tokens = tokens_of(unit)
    elif letter == "U":
        name = value.partition("=")[0].strip()
        if len(name) == 1:
            voice.users.add(name)
    elif letter == "Q":
        fault = tempo_fault(value)
        if fault:
            voice.fault("tempo-unreadable", fault, line, column, value[:30], "warning")
    elif letter == "m":
        voice.fault("macro", "macros (m:) are not expanded", line, column, value[:30])
    elif letter not in _SILENT:
        voice.fault("field-unknown", "no such field", line, column, f"{letter}:")
