r"""The gate ``marks``: whether repeats, endings, octave signs, hairpins and words are complete.

It rejects a second ending where no first one stands before it; nobody can tell what to play.

It warns of a repeat sign or a first ending that nothing ends; ``!8va(!``, ``!<(!`` and the like
without their end; more syllables in a line of words than notes in its line of music; a tempo
that nobody plays.

What a score does not hold (words, decorations) is looked for in its text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter

from scoregate.abc.fields import read_tempo
from scoregate.abc.score import Bar, Score, Voice
from scoregate.abc.source_text import split_lines
from scoregate.findings import Finding, Outcome
from scoregate.validators.registry import FunctionGate

NAME = "marks"
VERSION = "1"

SLOWEST, FASTEST = 16, 360
"""Tempos that are played, in quarter notes and in beats a minute: Larghissimo is 20 to 24, and
fast dances reach 330 crotchets."""

_SPANS = {
    **dict.fromkeys(("8va", "8vb", "15ma", "15mb", "22ma", "22mb"), "octave sign"),
    **dict.fromkeys(("<", ">", "crescendo", "diminuendo", "cresc", "dim"), "hairpin"),
}
_SPAN = re.compile(
    rf"[!+]({'|'.join(map(re.escape, sorted(_SPANS, key=len, reverse=True)))})([()])[!+]"
)
_VOICE = re.compile(r"\[V:\s*([^\]\s]+)|^V:\s*(\S+)", re.MULTILINE)
_TEMPO = re.compile(r"Q:(?<=[\n\[]Q:)([^\]\n]*)")
_BEATS = re.compile(r"=\s*(\d+(?:\.\d+)?)")
_WORD = re.compile(r"(?:\\-|[^\s\-_*|])+|\*")
_CONVERTED = "\nI:linebreak $\n"
"""Field that xml2abc writes into every header, and hardly anybody else."""
_VERSE = re.compile(r"(?<!\S)\d+\.(?=[\s~])")
_MOST = 10
"""Findings of one kind that are reported."""


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Report marks that lack their other end, and words and tempos that can't be right."""
    outcome = Outcome(NAME, VERSION)
    if not score.voices:
        return outcome
    marked = next((it for it in score.voices if any(bar.ending for bar in it.bars)), None)
    voice = marked or score.voices[0]
    converted = _CONVERTED in score.text
    if marked is not None:
        outcome.findings += _endings(marked, converted)
    outcome.findings += _repeats(voice)
    outcome.findings += _spans(score)
    outcome.findings += _words(score, converted)
    outcome.findings += _tempos(score)
    return outcome


def _at(code: str, message: str, voice: Voice, bar: Bar, critical: bool = False) -> Finding:
    return Finding(
        NAME,
        f"{NAME}.{code}",
        "critical" if critical else "warning",
        message,
        voice.id,
        bar.number,
        bar.line,
        bar.column,
    )


def passes_of(ending: str) -> set[int]:
    """Return the passes of an ending: {1, 2, 3} of ``1-3``; empty where it has only words."""
    passes: set[int] = set()
    for part in ending.split(","):
        low, dash, high = part.strip().partition("-")
        if low.isdigit():
            last = int(high) if dash and high.isdigit() else int(low)
            passes.update(range(int(low), min(last, int(low) + 20) + 1))
    return passes


def _endings(voice: Voice, converted: bool) -> list[Finding]:
    """Report a later ending without the one before it, and a first one that nothing ends.

    xml2abc loses the beginning of some first endings, so in its text a second one behind a
    repeat sign only warns.
    """
    found: list[Finding] = []
    before: set[int] = set()  # the passes of the endings since the last first one
    first: Bar | None = None  # a first ending that waits for the second one
    for bar in voice.bars:
        passes = passes_of(bar.ending)
        if not passes:
            continue
        if 1 in passes:
            if first is not None:
                found.append(_unended(voice, first))
            first, before = bar, set(passes)
            continue
        if first is None and not (before and min(passes) > max(before)):
            lost = converted and bar.left.startswith(":")
            message = f"ending {min(passes)} stands here, and no ending {min(passes) - 1} before it"
            found.append(_at("ending-without-first", message, voice, bar, not lost))
        first = None
        before |= passes
    if first is not None:
        found.append(_unended(voice, first))
    return found[:_MOST]


def _unended(voice: Voice, bar: Bar) -> Finding:
    return _at("ending-open", "no second ending follows this first one", voice, bar)


def _repeats(voice: Voice) -> list[Finding]:
    """Report a repeat that begins and does not end before the next one or the end."""
    found: list[Finding] = []
    opened: Bar | None = None
    right = ""
    for bar in voice.bars:
        # The barline between two bars is the right one of the first and the left of the other.
        signs = [*(() if bar.left == right else (bar.left,)), *bar.inner, bar.right]
        for place, sign in enumerate(signs):
            if sign.startswith(":"):
                opened = None
            if sign.endswith(":"):
                if opened is not None:
                    found.append(_open_repeat(voice, opened))
                opened = bar if place == 0 and sign == bar.left else _next(voice, bar)
        right = bar.right
    if opened is not None:
        found.append(_open_repeat(voice, opened))
    return found[:_MOST]


def _next(voice: Voice, bar: Bar) -> Bar:
    """Return the bar behind one, or that one if it is the last."""
    return next((other for other in voice.bars if other.number == bar.number + 1), bar)


def _open_repeat(voice: Voice, bar: Bar) -> Finding:
    return _at("repeat-open", "a repeat begins here and has no end", voice, bar)


def _spans(score: Score) -> list[Finding]:
    """Report octave signs and hairpins that begin more often than they end."""
    text = score.text
    if "(!" not in text and "(+" not in text:
        return []
    if not any(_opens_more(text, sign, mark) for mark in "!+" for sign in _SPANS):
        return []
    marks = list(_SPAN.finditer(text))
    voices = [(match.start(), match[1] or match[2]) for match in _VOICE.finditer(text)]
    starts = [start for start, _ in voices]
    balance: Counter[str] = Counter()
    waiting: dict[tuple[str, str], list[int]] = {}
    for match in marks:
        sign, opens = match[1], match[2] == "("
        place = bisect_right(starts, match.start()) - 1
        voice = voices[place][1] if place >= 0 else score.voices[0].id
        balance[sign] += 1 if opens else -1
        open_marks = waiting.setdefault((sign, voice), [])
        if opens:
            open_marks.append(match.start())
        elif open_marks:
            open_marks.pop()
    found = []
    for (sign, voice), open_marks in waiting.items():
        # Converters end a hairpin in another voice of the staff, so the piece's sum decides.
        if balance[sign] > 0 and open_marks:
            found.append(_open_span(score, sign, voice, open_marks[-1]))
    return found[:_MOST]


def _opens_more(text: str, sign: str, mark: str) -> bool:
    """Return whether a sign begins more often in a text than it ends."""
    begins = text.count(f"{mark}{sign}({mark}")
    return begins > 0 and begins > text.count(f"{mark}{sign}){mark}")


def _open_span(score: Score, sign: str, voice_id: str, at: int) -> Finding:
    line = score.text.count("\n", 0, at) + 1
    column = at - score.text.rfind("\n", 0, at)
    voice = next((voice for voice in score.voices if voice.id == voice_id), None)
    events = ((bar, event) for bar in (voice.bars if voice else ()) for event in bar.events)
    # The sign stands before the note that it begins with.
    number = next(
        (bar.number for bar, event in events if (event.line, event.column) > (line, column)), None
    )
    kind = _SPANS[sign]
    return Finding(
        NAME,
        f"{NAME}.{'octave' if kind == 'octave sign' else 'hairpin'}-open",
        "warning",
        f"the {kind} !{sign}(! has no end",
        voice_id,
        number,
        line,
        column,
        expected=f"!{sign})!",
    )


def _words(score: Score, converted: bool) -> list[Finding]:
    """Report lines of words with more syllables than their music has notes.

    In MusicXML every syllable has its note, and xml2abc writes a few more for elisions.
    """
    spare = 2 if converted else 0
    if "\nw:" not in score.text:
        return []
    notes_of: dict[int, Counter[str]] = {}
    last_of: dict[int, tuple[int, str]] = {}
    for voice in score.voices:
        for bar in voice.bars:
            for event in bar.events:
                if event.pitches and not event.grace:
                    notes_of.setdefault(event.line, Counter())[voice.id] += 1
                    place = (event.column, voice.id)
                    last_of[event.line] = max(last_of.get(event.line, place), place)
    found: list[Finding] = []
    group: list[int] = []
    after_words = False
    sung: list[int] = []  # syllables of the words so far, and the line they begin in
    for number, line in enumerate(split_lines(score.text), 1):
        if line.startswith("w:"):
            _count_words(found, spare, sung, group, notes_of, last_of)
            sung = [_syllables(line[2:]), number]
            after_words = True
        elif line.startswith("+:") and sung:
            sung[0] += _syllables(line[2:])
        elif number in notes_of:
            _count_words(found, spare, sung, group, notes_of, last_of)
            sung = []
            group = [number] if after_words else [*group, number]
            after_words = False
    _count_words(found, spare, sung, group, notes_of, last_of)
    return found[:_MOST]


# Six parameters: the two counts are made once for all lines of words.
def _count_words(
    found: list[Finding],
    spare: int,
    sung: list[int],
    group: list[int],
    notes_of: dict[int, Counter[str]],
    last_of: dict[int, tuple[int, str]],
) -> None:
    """Compare the syllables of one line of words with the notes of its music."""
    if not sung or not group:
        return
    voice = last_of[group[-1]][1]
    notes = sum(notes_of[line][voice] for line in group)
    syllables, line = sung
    if syllables > notes + min(spare, notes):
        found.append(
            Finding(
                NAME,
                f"{NAME}.syllables",
                "warning",
                f"{syllables} syllables for {notes} notes",
                voice,
                line=line,
                column=1,
            )
        )


def _syllables(words: str) -> int:
    """Return for how many notes there are syllables; ``_`` behind the last one is left out.

    >>> _syllables(" A-ve Ma-ri-a * gra~ti-a"), _syllables("a__ b _ _")
    (8, 4)
    """
    words = words.partition("%")[0].rstrip(" \t_*-|")
    words = _VERSE.sub(" ", words)  # the number of a verse
    return len(_WORD.findall(words)) + words.count("_")


def _tempos(score: Score) -> list[Finding]:
    """Report tempos that nobody plays."""
    found = []
    for match in _TEMPO.finditer(score.text):
        words = match[1]
        tempo, beats = read_tempo(words), _BEATS.search(words)
        if tempo is None:
            continue
        rates = (tempo, float(beats[1])) if beats else (tempo,)
        # A slow tempo of a long beat, or a fast one of a short beat, is an ordinary one.
        if max(rates) >= SLOWEST and min(rates) <= FASTEST:
            continue
        line = score.text.count("\n", 0, match.start()) + 1
        found.append(
            Finding(
                NAME,
                f"{NAME}.tempo",
                "warning",
                f"nobody plays {tempo:g} quarter notes a minute",
                line=line,
                column=match.start() - score.text.rfind("\n", 0, match.start()),
                found=words.strip()[:40],
                expected=f"{SLOWEST} to {FASTEST}",
            )
        )
    return found[:_MOST]


GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="Are repeats, endings, octave signs, hairpins, words and tempo complete?",
    check=check,
)
