"""The reader's notes against those of independent readers of ABC.

    python benchmarks/truth.py PATH... > benchmarks/results/truth.md

Every voice of every piece is handed to abc2midi as a tune of its own (so that no channel
runs out and no voice hides another), and its MIDI is compared note by note with what the
reader made of it: onset, duration and sounding pitch. What abc2midi plays rather than
reads is taken out of its text beforehand: ornaments, staccato, grace notes, chord
symbols, repeats. The whole piece goes through abc2xml and music21 as well, and the
sounding pitches of each bar of each voice are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from machine import describe

from scoregate.abc.finish import finish
from scoregate.abc.reader import read
from scoregate.abc.score import Score, Voice
from scoregate.validators import abc2midi

Note = tuple[float, float, int]
"""Onset and duration in quarter notes, MIDI pitch."""

LATE = 0.11
"""Quarter notes that abc2midi may begin the upper notes of a chord late: it spreads them."""
TOLERANCE = 0.09
"""Quarter notes that ends may differ: it rounds to ticks and lets go a moment early."""

_PLAYED = re.compile(r'!(?!\d)[^!\s]*!|"[^"]*"|(?<!\|)\.(?!\|)|[~HJLMOPRSTuv]')


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two readers part: the note that only one of them has."""

    voice: str
    onset: float
    pitch: int
    ours: bool


def our_notes(voice: Voice) -> list[Note]:
    """Return the notes of a voice without repeats, ties joined, grace notes left out."""
    notes: list[list] = []
    held: dict[int, list] = {}
    start = Fraction(0)
    for bar in voice.bars:
        for event in bar.events:
            if event.grace or not event.pitches:
                continue
            onset = float((start + event.onset) * 4)
            length = float(event.duration * 4)
            now: dict[int, list] = {}
            for pitch in event.pitches:
                before = held.get(pitch) if pitch in event.tied_pitches else None
                if before is not None and abs(before[0] + before[1] - onset) < 1e-6:
                    before[1] += length
                    now[pitch] = before
                else:
                    note = [onset, length, pitch]
                    notes.append(note)
                    now[pitch] = note
            held = {**held, **now} if event.tied_to else now
        start += bar.duration
    return sorted((onset, length, pitch) for onset, length, pitch in notes)


def single_voice(score: Score, voice: Voice, propagate: str = "octave") -> str:
    """Return one voice of a finished interleaved piece as a tune of its own."""
    lines = finish(score.text).text.split("\n")
    header: list[str] = []
    body: list[str] = []
    for line in lines:
        if line.startswith(("%", "V:", "w:")):
            if line.startswith("V:") and line[2:].split()[0] == voice.id:
                # The name may hold anything; clef and transposition are what sounds.
                header.append(re.sub(r'(?:nm|snm|name|sname)="[^"]*"', "", line))
        elif re.match(r"[A-Za-z]:", line):
            if line.startswith("K:"):
                header.append(f"I:propagate-accidentals {propagate}")
            header.append(line)
        else:
            for cell in re.findall(r"\[V:\s*([^\]\s]+)[^\]]*\]((?:(?!\[V:).)*)", line):
                if cell[0] == voice.id:
                    body.append(_plain(cell[1]))
    return "\n".join([*header, *body, ""])


def _plain(cell: str) -> str:
    text = _PLAYED.sub("", re.sub(r"\[[IQPR]:[^\]]*\]", "", cell))
    text = re.sub(r"\|\d", "|", text)
    text = re.sub(r"\[\d", "", text)
    return re.sub(r":*\|+:*|::", "|", text.replace("|]", "|"))


def their_notes(text: str) -> list[Note]:
    """Return abc2midi's notes of a tune."""
    import symusic

    run = abc2midi.run(text)
    if run.failure or not run.midi:
        return []
    score = symusic.Score.from_midi(run.midi)
    notes = [
        (note.time / score.tpq, note.duration / score.tpq, note.pitch)
        for track in score.tracks
        for note in track.notes
    ]
    return sorted(notes)


def compare(ours: list[Note], theirs: list[Note], voice: str) -> list[Difference]:
    """Return the notes that only one side has, or has with another duration."""
    differences: list[Difference] = []
    rest = list(theirs)
    for onset, length, pitch in ours:
        match = next(
            (
                note
                for note in rest
                if note[2] == pitch
                and -TOLERANCE < note[0] - onset < LATE
                and abs(note[0] + note[1] - onset - length) < TOLERANCE
            ),
            None,
        )
        if match is None:
            differences.append(Difference(voice, onset, pitch, True))
        else:
            rest.remove(match)
    differences += [Difference(voice, onset, pitch, False) for onset, _, pitch in rest]
    return differences


def against_abc2midi(text: str, propagate: str = "octave") -> tuple[int, list[Difference]]:
    """Compare a piece; return how many notes it has and the differences."""
    score = read(text)
    count = 0
    differences: list[Difference] = []
    for voice in score.voices:
        ours = our_notes(voice)
        count += len(ours)
        if ours:
            theirs = their_notes(single_voice(score, voice, propagate))
            differences += compare(ours, theirs, voice.id)
    return count, differences


def musicxml_of(text: str) -> str:
    """Return the piece as MusicXML, made by abc2xml."""
    from scoregate.vendor.abc2xml import convert_abc2xml

    # It reads the command line, whoever's that is.
    arguments, sys.argv = sys.argv, ["abc2xml"]
    try:
        return _converted(convert_abc2xml, text)
    finally:
        sys.argv = arguments


def _converted(convert_abc2xml, text: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return convert_abc2xml(file_to_convert=text, file_to_convert_is_txt=True)


def our_bars(score: Score) -> list[Counter[int]]:
    """Return, for every bar, how often each pitch sounds in it, over all voices."""
    bars: list[Counter[int]] = [Counter() for _ in range(score.bar_count)]
    for voice in score.voices:
        for index, bar in enumerate(voice.bars):
            for event in bar.events:
                if not event.grace:
                    bars[index].update(event.pitches)
    return bars


def their_bars(xml: str) -> list[Counter[int]]:
    """Return the same of a MusicXML text, read by music21."""
    from music21 import converter, stream

    score = converter.parse(xml, format="musicxml").toSoundingPitch()
    bars: list[Counter[int]] = []
    for part in score.getElementsByClass(stream.Part):
        for index, measure in enumerate(part.getElementsByClass(stream.Measure)):
            while index >= len(bars):
                bars.append(Counter())
            for element in measure.recurse().notes:
                if not element.duration.isGrace:
                    bars[index].update(pitch.midi for pitch in element.pitches)
    return bars


def against_music21(text: str) -> tuple[int, list[int]]:
    """Compare a piece's bars with abc2xml and music21; return their number and who differs."""
    score = read(text)
    ours, theirs = our_bars(score), their_bars(musicxml_of(finish(score.text).text))
    differing = [
        index + 1
        for index in range(max(len(ours), len(theirs)))
        if ours[index : index + 1] != theirs[index : index + 1]
    ]
    return len(ours), differing


def against_abctoolkit(text: str) -> tuple[int, list[tuple[str, int]], int]:
    """Compare the length of every bar with abctoolkit's.

    Returns
    -------
    compared : int
        Bars that abctoolkit could measure.
    differing : list of (voice, bar)
    beyond : int
        Bars on which it raises (tuplets of 5, ``&``, lengths within chords).
    """
    from abctoolkit.duration import calculate_bartext_duration

    score = read(text)
    lines = finish(score.text).text.split("\n")
    compared = beyond = 0
    differing: list[tuple[str, int]] = []
    for voice in score.voices:
        for bar in voice.bars:
            cell = re.search(
                rf"\[V:{re.escape(voice.id)}[^\]]*\]((?:(?!\[V:).)*)", lines[bar.line - 1]
            )
            body = re.sub(
                r"[|:]+\]?\d?$", "", re.sub(r"\[[A-Z]:[^\]]*\]", "", cell[1] if cell else "")
            )
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    theirs = calculate_bartext_duration(body)
            except Exception:
                # What it can't measure is no judgement; how often that is stands in the table.
                theirs = None
            if theirs is None:
                beyond += 1
                continue
            compared += 1
            if theirs != bar.duration / score.unit:
                differing.append((voice.id, bar.number))
    return compared, differing, beyond


def bar_at(score: Score, difference: Difference) -> int:
    """Return the number of the bar in which a difference lies."""
    voice = next(voice for voice in score.voices if voice.id == difference.voice)
    start = Fraction(0)
    for bar in voice.bars:
        start += bar.duration
        if difference.onset + 0.2 < float(start * 4):
            return bar.number
    return len(voice.bars)


def main() -> None:
    """Compare all files named and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--without-music21", action="store_true", help="skip the slow judge")
    options = parser.parse_args()
    files = [
        file
        for path in options.paths
        for file in (sorted(path.rglob("*.abc")) if path.is_dir() else [path])
    ]
    print("# The reader against independent readers\n")
    print("`python benchmarks/truth.py ...`; docs/gate.md explains every disagreement.\n")
    print(describe("symusic", "music21", "abctoolkit", "pyparsing") + "\n")
    totals: Counter[str] = Counter()
    rows: list[str] = []
    for file in files:
        text, name = file.read_text(encoding="utf-8"), f"{file.parent.name}/{file.name}"
        score = read(text)
        count, differences = against_abc2midi(text)
        totals["notes"] += count
        if differences:
            bars = sorted({(d.voice, bar_at(score, d)) for d in differences})
            totals["notes differing"] += sum(difference.ours for difference in differences)
            rows.append(f"| abc2midi | {name} | {_places(bars)} |")
        compared, differing, beyond = against_abctoolkit(text)
        totals["bars"] += compared
        totals["bars beyond it"] += beyond
        totals["bars differing"] += len(differing)
        if differing:
            rows.append(f"| abctoolkit | {name} | {_places(differing)} |")
        if not options.without_music21:
            bars_read, unlike = against_music21(text)
            totals["whole bars"] += bars_read
            totals["whole bars differing"] += len(unlike)
            if unlike:
                rows.append(f"| abc2xml + music21 | {name} | bars {unlike} |")
    print("| judge | compared | differing | beyond it |\n|---|---|---|---|")
    print(f"| abc2midi | {totals['notes']} notes | {totals['notes differing']} | |")
    print(
        f"| abctoolkit | {totals['bars']} bars of single voices | {totals['bars differing']} "
        f"| {totals['bars beyond it']} |"
    )
    if not options.without_music21:
        print(
            f"| abc2xml + music21 | {totals['whole bars']} bars of all voices "
            f"| {totals['whole bars differing']} | |"
        )
    print(f"\n{len(files)} pieces. Where they differ:\n")
    print("| judge | piece | where |\n|---|---|---|")
    print("\n".join(rows))


def _places(places: list[tuple[str, int]]) -> str:
    shown = ", ".join(f"voice {voice} bar {bar}" for voice, bar in places[:8])
    return shown + (f" and {len(places) - 8} more" if len(places) > 8 else "")


if __name__ == "__main__":
    main()
