"""Themes: bars of a score as text to force on the model, as an opening or as a soprano."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from scoregate.abc.keys import MAJOR_KEYS, key_fifths, signature
from scoregate.convert.bar_events import write_bar
from scoregate.convert.chorale import CHORALE_HEADS, as_chorale
from scoregate.convert.piece import Bar, ConversionError, Piece, bars_of, piece_text
from scoregate.errors import RequestError
from scoregate.notagen.text.patches import encode, encode_unit, units_of_line
from scoregate.notagen.text.styles import PROMPT_END
from scoregate.styles import Style

EIGHTH = Fraction(1, 8)
_SOPRANO = re.compile(r'nm="\s*(s|soprano|discantus|canto|melody)[ .:1]*"', re.IGNORECASE)
_IN_FORCE = re.compile(r"\[([KM]):([^\]]*)\]")
_LAST_TIE = re.compile(r"-(?=[^A-Ga-g]*$)")
_NOTE = re.compile(r"(?:\^\^?|__?|=)?[A-Ga-g][,']*")
_KNOWN_BARLINES = {"|:": "|", "||": "|", "::": ":|"}
_PLAIN_KEY = re.compile(r"[A-G][#b]?m?")


def choose_bars(piece: Piece, bars: str) -> Piece:
    """Return some bars of a piece, with the key and the metre that hold where they begin.

    Parameters
    ----------
    piece : Piece
    bars : str
        ``3-6``, ``5``, or empty for all; counted from 1 as they are written, a pickup too. Notes
        that are tied over the end lose their tie.

    Raises
    ------
    RequestError
        Bars outside the piece.
    """
    count = piece.bar_count
    first, last = bar_range(bars, count)
    fields = dict(piece.fields)
    for music in piece.voices.values():
        for bar in music[: first - 1]:
            fields |= dict(_IN_FORCE.findall(bar.text))
    voices = {}
    for voice, music in piece.voices.items():
        chosen = [Bar(bar.text, bar.right) for bar in music[first - 1 : last]]
        if last < count:
            chosen[-1].text = _LAST_TIE.sub("", chosen[-1].text)
        voices[voice] = chosen
    return replace(piece, fields=fields, voices=voices)


def bar_range(bars: str, count: int) -> tuple[int, int]:
    """Return the first and the last of the chosen bars.

    Raises
    ------
    RequestError
        They are not among the ``count`` bars of the piece.
    """
    if not bars:
        return 1, count
    ends = [int(end) for end in bars.split("-")]
    first, last = ends[0], ends[-1]
    if not 1 <= first <= last <= count:
        raise RequestError(
            f"Bars {bars} are not in the theme, which has {count}.",
            f"Choose some of 1 to {count}, such as --bars 1-{min(4, count)}.",
        )
    return first, last


def opening(piece: Piece, style: Style) -> str:
    """Return a piece as the opening that another one is to begin with.

    For Bach's chorales it is spelt as the chorales are on which the weights were trained.

    Parameters
    ----------
    piece : Piece
        The bars that are chosen.
    style : Style

    Raises
    ------
    RequestError
        A chorale is asked for, and the theme is not written for its four singers.
    """
    if is_chorale(style):
        if len(piece.voices) != 4:
            raise RequestError(
                f"The theme has {_voices(len(piece.voices))}, and a piece in the style {style} "
                "has four.",
                "--reharmonise takes the theme's first voice as the soprano and writes the others.",
            )
        try:
            piece = as_chorale(in_eighths(piece))
        except ConversionError as error:
            raise RequestError(
                f"The theme can't open a chorale: {error}.", "Choose other bars with --bars."
            ) from None
    # After a closing barline the model would end the piece.
    for music in piece.voices.values():
        if music[-1].right == "|]":
            music[-1].right = "|"
    return piece_text(piece)


def soprano(piece: Piece) -> str:
    """Return the melody of a piece as the given soprano of a chorale, one voice a line.

    The melody is the voice that is named a soprano, or else the first one. Its notes and their
    lengths stay. What is left out is what chorales have not: words, slurs, ornaments, and signs
    where a repeat begins, which stand in two of 402 chorales. The last note gets a fermata, which
    all chorales have there: without it the embedded model does not find an ending.

    Raises
    ------
    RequestError
        The voice has chords or layers, values below 1/32, or changes its key or metre.
    """
    names = list(piece.voices)
    chosen = next((name for name in names if _SOPRANO.search(piece.heads.get(name, ""))), names[0])
    alone = replace(
        piece,
        heads={chosen: piece.heads.get(chosen, "")},
        voices={chosen: piece.voices[chosen]},
    )
    try:
        melody = in_eighths(alone)
        # Four times the same voice are four singers, of whom the first one is taken.
        head, music = melody.heads[chosen], melody.voices[chosen]
        copies = replace(
            melody,
            heads=dict.fromkeys(CHORALE_HEADS, head),
            voices={
                singer: [Bar(bar.text, bar.right) for bar in music] for singer in CHORALE_HEADS
            },
        )
        chorale = as_chorale(copies)
    except ConversionError as error:
        raise RequestError(
            f"The theme's first voice can't be a soprano: {error}.",
            "A soprano has one note at a time, in one key and metre; choose bars with --bars.",
        ) from None
    bars = chorale.voices["1"]
    bars[-1].text = _with_fermata(bars[-1].text)
    for bar in bars:
        bar.right = _KNOWN_BARLINES.get(bar.right, bar.right)
    empty = piece_text(replace(chorale, voices={}))
    return empty + "".join(f"[V:1]{bar.text}{bar.right}\n" for bar in bars)


def in_eighths(piece: Piece) -> Piece:
    """Return a piece with its notes spelt anew in ``L:1/8``, without ornaments and words.

    A key in another mode than major and minor is named by its signature.
    """
    scale = Fraction(piece.fields.get("L", "1/8")) / EIGHTH
    fifths = key_fifths(piece.fields["K"])
    key = piece.fields["K"].split()[0]
    fields = piece.fields | {
        "L": "1/8",
        "K": key if _PLAIN_KEY.fullmatch(key) else MAJOR_KEYS[fifths],
    }
    voices: dict[str, list[Bar]] = {}
    for (voice, music), parsed in zip(piece.voices.items(), bars_of(piece), strict=True):
        voices[voice] = []
        for number, (bar, read) in enumerate(zip(music, parsed, strict=True), 1):
            if read.layered:
                raise ConversionError(f"voice {voice} has layers in bar {number}")
            changes = ""
            for name, value in _IN_FORCE.findall(bar.text):
                changes += f"[{name}:{value}]"
                fifths = key_fifths(value) if name == "K" else fifths
            events = [replace(event, duration=event.duration * scale) for event in read.events]
            text = write_bar(events, signature(fifths)) if events else ""
            voices[voice].append(Bar(changes + text, bar.right))
        fifths = key_fifths(fields["K"])
    return replace(piece, fields=fields, voices=voices)


def is_chorale(style: Style) -> bool:
    """Return whether a style's pieces have four singers, spelt as Bach's chorales are."""
    return style.instrumentation == "Choral" and style.composer.startswith("Bach")


def check_length(text: str, style: Style, forced_as: str, context: int) -> None:
    """Refuse a theme that fills the context.

    Parameters
    ----------
    text : str
        The forced text.
    style : Style
    forced_as : {'opening', 'voice'}
        The patches of all voices are estimated from those of a given one.
    context : int
        Patches that the model can attend to.

    Raises
    ------
    RequestError
    """
    head, *lines = text.split("\n[V:")
    before = len(encode(f"{style.prompt}{PROMPT_END}{head}\n"))
    patches = before
    for line in lines:
        voices = units_of_line(f"[r:99/99][V:{line}")
        if forced_as == "voice":
            voices += [f"|[V:{line}"] * (len(CHORALE_HEADS) - 1)
        patches += sum(len(encode_unit(unit)) for unit in voices)
    if patches >= context:
        count = len(lines)
        fitting = max((context - before) * count // max(patches - before, 1) - 1, 1)
        raise RequestError(
            f"The theme's {count} bars take about {patches} patches of 16 characters, and the "
            f"model can attend to {context}.",
            f"Take fewer bars: about {fitting} fit (--bars 1-{fitting}).",
        )


def _with_fermata(text: str) -> str:
    """Return a bar with a fermata on its last note, unless it has one."""
    notes = list(_NOTE.finditer(text.replace("!fermata!", " " * len("!fermata!"))))
    if not notes:
        return text
    at = notes[-1].start()
    return text if text[:at].endswith("!fermata!") else f"{text[:at]}!fermata!{text[at:]}"


def _voices(count: int) -> str:
    return "one voice" if count == 1 else f"{count} voices"
