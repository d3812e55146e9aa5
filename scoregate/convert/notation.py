"""The little ABC that training needs: one bar of one voice as events, and transposition.

Works on the text of a single bar, knows nothing of files, headers or models. A pitch is
a pair ``(step, alter)``: the diatonic step counted from C4 = 0 (``B,`` = -1, ``c`` = 7)
and the alteration in semitones, so that it can be moved to another key and spelt again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

LETTERS = "CDEFGAB"
SEMITONES = (0, 2, 4, 5, 7, 9, 11)
SHARP_ORDER = (3, 0, 4, 1, 5, 2, 6)  # F C G D A E B
ACCIDENTAL = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
ACCIDENTAL_TEXT = {2: "^^", 1: "^", 0: "=", -1: "_", -2: "__"}
MODE_SHIFT = {
    "": 0, "maj": 0, "ion": 0, "m": -3, "min": -3, "aeo": -3,
    "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5,
}  # fmt: skip
_FLAT_TO_SHARP = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
MAJOR_KEYS = dict(zip(range(-7, 8), _FLAT_TO_SHARP, strict=True))
NOTE = r"(?P<acc>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)"
LENGTH = r"(?P<num>\d*)(?P<slash>/*)(?P<den>\d*)"
TOKEN = re.compile(
    r"(?P<deco>![^!]*!|\+[^+]*\+)|(?P<quoted>\"[^\"]*\")|(?P<grace>\{[^}]*\})"
    r"|(?P<field>\[[A-Za-z]:[^\]]*\])|(?P<chord>\[(?P<inner>[^\]|]*)\])(?P<chordlen>\d*/*\d*)"
    r"|(?P<note>" + NOTE + r")" + LENGTH +
    r"|(?P<rest>[zxZXy])(?P<restlen>\d*/*\d*)"
    r"|\((?P<tuplet>\d)(?P<tupletmore>[:\d]*)|(?P<tie>-)|(?P<broken>[<>]+)|(?P<overlay>&)|(?P<short>[.~HLMOPSTuv])"
)  # fmt: skip
PLAIN_NOTE = re.compile(NOTE)
CHORD_NOTE = re.compile(NOTE + LENGTH + "(?P<tie>-?)")
KEY = re.compile(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)")


@dataclass(slots=True)
class Event:
    """A note, chord or rest of one bar.

    Parameters
    ----------
    onset, duration : Fraction
        In units of ``L:``, the onset from the beginning of the bar.
    pitches : tuple of (int, int)
        ``(step, alter)`` each; empty for a rest.
    start, end : int
        Where its text lies in the bar, decorations not included.
    tie, fermata : bool
        Tied to the next event; carries a fermata.
    """

    onset: Fraction
    duration: Fraction
    pitches: tuple[tuple[int, int], ...]
    start: int
    end: int
    tie: bool = False
    fermata: bool = False


@dataclass(slots=True)
class ParsedBar:
    """The events of a bar, its length in ``L:`` units, and whether it has layers."""

    events: list[Event] = field(default_factory=list)
    duration: Fraction = Fraction(0)
    layered: bool = False


def key_fifths(key: str) -> int:
    """Place on the circle of fifths (sharps positive) of an ABC key such as ``Gm``.

    ``none`` and keys that can't be read count as C major.
    """
    match = KEY.match(key)
    if not match or key.strip().lower().startswith(("none", "hp")):
        return 0
    letter, sign, mode = match.groups()
    tonic = (LETTERS.index(letter) * 2 + 1) % 7 - 1 + {"#": 7, "b": -7, "": 0}[sign]
    mode = mode.lower()
    shift = MODE_SHIFT.get("m" if mode == "m" else mode[:3], 0)
    return tonic + shift


def key_alters(fifths: int) -> tuple[int, ...]:
    """Alteration of each letter C..B under a signature of so many fifths."""
    alters = [0] * 7
    for i in range(abs(fifths)):
        if fifths > 0:
            alters[SHARP_ORDER[i % 7]] += 1
        else:
            alters[SHARP_ORDER[6 - i % 7]] -= 1
    return tuple(alters)


def midi_pitch(pitch: tuple[int, int]) -> int:
    """MIDI number of ``(step, alter)``; C4 (step 0) is 60."""
    octave, letter = divmod(pitch[0], 7)
    return 60 + 12 * octave + SEMITONES[letter] + pitch[1]


def note_step(letter: str, octave: str) -> int:
    """Diatonic step of a letter with its octave marks: ``C`` 0, ``c`` 7, ``C,`` -7."""
    step = LETTERS.index(letter.upper()) + (7 if letter.islower() else 0)
    return step + 7 * (octave.count("'") - octave.count(","))


def step_text(step: int) -> str:
    """The letter and octave marks of a diatonic step."""
    octave, letter = divmod(step, 7)
    if octave >= 1:
        return LETTERS[letter].lower() + "'" * (octave - 1)
    return LETTERS[letter] + "," * -octave


def read_length(text: str) -> Fraction:
    """``3/2``, ``/``, ``//`` or ``2`` as a fraction of the unit."""
    if not text:
        return Fraction(1)
    if "/" not in text:
        return Fraction(int(text))
    number, _, rest = text.partition("/")
    slashes = 1 + rest.count("/")
    below = rest.strip("/")
    value = Fraction(int(number) if number else 1)
    return value / (int(below) if below and int(below) else 2**slashes)


def length_text(value: Fraction) -> str:
    """The shortest ABC length for a fraction of the unit: ``""``, ``2``, ``/``, ``3/2``."""
    if value.denominator == 1:
        return "" if value == 1 else str(value.numerator)
    above = "" if value.numerator == 1 else str(value.numerator)
    return f"{above}/" if value == Fraction(1, 2) else f"{above}/{value.denominator}"


def parse_bar(text: str, alters: tuple[int, ...], tied: dict[int, int] | None = None) -> ParsedBar:
    """Read one bar of one voice.

    Parameters
    ----------
    text : str
        Without ``[V:n]`` and barlines.
    alters : tuple of int
        Of the key, from :func:`key_alters`.
    tied : dict of int to int, optional
        Step and alteration of notes tied over from the bar before; changed in place to
        those that this bar ties over.

    Returns
    -------
    ParsedBar
        Grace notes are left out. Layers behind ``&`` are parsed for their notes, and the
        duration is that of the first.
    """
    bar = ParsedBar()
    held: dict[int, int] = {}
    coming = dict(tied or {})
    time = Fraction(0)
    first_layer: Fraction | None = None
    factor, factor_left = Fraction(1), 0
    broken = Fraction(1)
    fermata = False

    def sounding(letter: str, octave: str, accidental: str | None) -> tuple[int, int]:
        step = note_step(letter, octave)
        if accidental:
            held[step] = ACCIDENTAL[accidental]
        elif step in coming:
            return step, coming[step]
        return step, held.get(step, alters[step % 7])

    def put(pitches: tuple, length: Fraction, start: int, end: int) -> None:
        nonlocal time, factor_left, broken, fermata
        length *= broken
        broken = Fraction(1)
        if factor_left:
            length *= factor
            factor_left -= 1
        bar.events.append(Event(time, length, pitches, start, end, False, fermata))
        fermata = False
        time += length
        for step, _ in pitches:
            coming.pop(step, None)

    for match in TOKEN.finditer(text):
        kind = match.lastgroup
        if match["note"]:
            pitch = sounding(match["letter"], match["octave"], match["acc"])
            length = read_length(match["num"] + match["slash"] + match["den"])
            put((pitch,), length, match.start(), match.end())
        elif match["chord"]:
            notes = list(CHORD_NOTE.finditer(match["inner"]))
            if notes:
                pitches = tuple(sounding(n["letter"], n["octave"], n["acc"]) for n in notes)
                inner = read_length(notes[0]["num"] + notes[0]["slash"] + notes[0]["den"])
                put(pitches, inner * read_length(match["chordlen"]), match.start(), match.end())
                bar.events[-1].tie = any(n["tie"] for n in notes)
        elif match["rest"] and match["rest"] != "y":
            put((), read_length(match["restlen"]), match.start(), match.end())
        elif match["deco"]:
            fermata = fermata or "fermata" in match["deco"]
        elif match["tie"] and bar.events:
            bar.events[-1].tie = True
        elif match["tuplet"]:
            p = int(match["tuplet"])
            more = [int(x) if x else 0 for x in match["tupletmore"].split(":")[1:]]
            q = more[0] if more and more[0] else {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, 2)
            factor, factor_left = Fraction(q, max(p, 1)), more[1] if more[1:] and more[1] else p
        elif match["broken"] and bar.events:
            last = bar.events[-1]
            small = Fraction(1, 2 ** len(match["broken"]))
            wide = 2 - small
            mine, other = (wide, small) if match["broken"][0] == ">" else (small, wide)
            time += last.duration * (mine - 1)
            last.duration *= mine
            broken = other
        elif match["overlay"]:
            first_layer = time if first_layer is None else first_layer
            time, bar.layered = Fraction(0), True
        elif kind == "short" and match["short"] == "H":
            fermata = True
    bar.duration = time if first_layer is None else first_layer
    if tied is not None:
        tied.clear()
        last = bar.events[-1] if bar.events else None
        if last and last.tie:
            tied.update(last.pitches)
    return bar


def write_bar(
    events: Iterable[Event], alters: tuple[int, ...], beat: Fraction = Fraction(2)
) -> str:
    """Spell events as ABC, one group of notes a beat, accidentals only where needed.

    Parameters
    ----------
    events : iterable of Event
        In order; only their durations, pitches, ties and fermatas are used.
    alters : tuple of int
        Of the key.
    beat : Fraction
        Length of a beat in ``L:`` units: a space is written where a beat begins.
    """
    held: dict[int, int] = {}
    tied: dict[int, int] = {}
    out: list[str] = []
    time = Fraction(0)
    for i, event in enumerate(events):
        if out and (time % beat == 0 or event.duration >= beat):
            out.append(" ")
        if event.fermata:
            out.append("!fermata!")
        names = []
        for step, alter in event.pitches:
            # A note tied from a changed one keeps its sign in ABC only by custom: write it.
            needed = held.get(step, alters[step % 7]) != alter or (
                i == 0 and tied.get(step, alters[step % 7]) != alter
            )
            if needed:
                held[step] = alter
            names.append((ACCIDENTAL_TEXT[alter] if needed else "") + step_text(step))
        body = names[0] if len(names) == 1 else f"[{''.join(names)}]" if names else "z"
        out.append(body + length_text(event.duration) + ("-" if event.tie else ""))
        time += event.duration
    return "".join(out)


def transpose_key(key: str, fifths: int) -> str:
    """The key ``fifths`` further up the circle, its mode kept: ``Gm`` and 1 give ``Dm``."""
    match = KEY.match(key)
    if not match or key.strip().lower().startswith("none"):
        return key
    letter, sign, mode = match.groups()
    tonic = (LETTERS.index(letter) * 2 + 1) % 7 - 1 + {"#": 7, "b": -7, "": 0}[sign] + fifths
    octave, place = divmod(tonic + 1, 7)
    name = "FCGDAEB"[place] + ("#" * octave if octave >= 0 else "b" * -octave)
    return name + mode + key[match.end() :]


def transpose_music(text: str, before: int, fifths: int, steps: int) -> str:
    """Move the notes of a stretch of music by an interval, key signature in mind.

    Parameters
    ----------
    text : str
        Music; quoted text, decorations and inline fields are left as they are.
    before : int
        Fifths of the key in force.
    fifths : int
        How far the key moves on the circle of fifths.
    steps : int
        How far the letters move, in diatonic steps; it must belong to ``fifths``.
    """
    old, new = key_alters(before), key_alters(before + fifths)

    def moved(match: re.Match) -> str:
        step = note_step(match["letter"], match["octave"])
        accidental = ""
        if match["acc"]:
            change = ACCIDENTAL[match["acc"]] - old[step % 7]
            alter = new[(step + steps) % 7] + change
            accidental = ACCIDENTAL_TEXT[max(-2, min(2, alter))]
        return accidental + step_text(step + steps)

    out, at = [], 0
    for match in re.finditer(r"![^!]*!|\"[^\"]*\"|\[[A-Za-z]:[^\]]*\]", text):
        out += [PLAIN_NOTE.sub(moved, text[at : match.start()]), match.group()]
        at = match.end()
    out.append(PLAIN_NOTE.sub(moved, text[at:]))
    return "".join(out)


def interval_steps(fifths: int, near: int = 0) -> int:
    """Diatonic steps of the smallest interval that moves a key by so many fifths.

    ``near`` adds whole octaves.
    """
    semitones = fifths * 7 % 12
    steps = fifths * 4 % 7
    if semitones > 6:
        # Downwards: the same letter an octave lower.
        return (steps - 7 if steps else 0) + 7 * near
    return steps + 7 * near
