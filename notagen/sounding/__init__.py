"""What sounds where the next character is written, read off the text so far.

The text puts the bars of the voices one after the other. A model sees which notes sound together
only after it has learnt to count durations in several strings and to align them, and it hardly
learns the motion between two voices. Here both are read off the text, character by character, as
the classes of a table of embeddings that the character level adds to its input
(:class:`scoregate.notagen.model.network.SoundingInput`). Nothing looks ahead: the classes at a
character depend on the characters before it alone, so training and generation see the same.

Each class says what holds if a note begins at this point. After ``c`` the time reached is one unit,
after ``c2`` two: the model may still write on at the note, and sees then up to where it sounds.

Where the header has a form (:mod:`scoregate.form`), the classes say as well where in
it the text has come to: how long until the phrase is to end and on which chord, and in a phrase
that returns, what the same voice sang there the first time.
"""

from scoregate.notagen.sounding.classes import (
    CLASSES,
    EARLIER_CLASSES,
    FEATURES,
    LOWEST,
    OFFSETS,
    SILENT,
)
from scoregate.notagen.sounding.listener import Listener
from scoregate.notagen.sounding.reader import body_at

__all__ = [
    "CLASSES",
    "EARLIER_CLASSES",
    "FEATURES",
    "LOWEST",
    "OFFSETS",
    "SILENT",
    "Listener",
    "body_at",
]
