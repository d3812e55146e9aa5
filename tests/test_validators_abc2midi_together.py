"""abc2midi runs once for several pieces, and says of each what it would say of it alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scoregate.abc.finish import finish
from scoregate.validators import abc2midi, judge_texts
from scoregate.validators.abc2midi_input import prepared
from scoregate.validators.abc2midi_together import run_together

HEAD = "X:7\nT:t\nM:4/4\nL:1/4\nQ:1/4=90\nK:C\n"
GOOD = HEAD + "CEGc|G2E2|c4|]\n"
LONG = GOOD.replace("G2E2", "G2E4")
UNREAD = HEAD + "CE(3GcG|c4|]\n"
PIECES = [path.read_text() for path in sorted((Path(__file__).parent / "pieces").glob("*.abc"))]


def words(run: abc2midi.Run) -> list[str]:
    """Return the messages with a line; their column is that of the line before in a header."""
    found = [line for line in run.messages.split("\n") if " in line-char " in line]
    return [re.sub(r"-\d+ : ", " : ", line) for line in found]


def test_each_piece_gets_its_own_messages_and_midi():
    texts = [prepared(finish(text).score()).text for text in (*PIECES, LONG, GOOD)]
    runs = run_together(texts)
    assert sum(run is not None for run in runs) >= 4
    for text, run in zip(texts, runs, strict=True):
        alone = abc2midi.run(text)
        if run is not None:
            assert words(run) == words(alone)
            assert run.midi == alone.midi


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("K:C\n", "%%MIDI program 3\nK:C\n"),
        GOOD.replace("CEGc", "[I:propagate-accidentals not]CEGc"),
        GOOD.replace("|c4", "|\n\nc4"),
        GOOD + "X:8\nK:C\nC4|]\n",
        GOOD.removeprefix("X:7\n"),
    ],
    ids=["a directive", "an inline directive", "an empty line", "two tunes", "no X:"],
)
def test_what_could_change_the_next_piece_runs_by_itself(text):
    first, second, third = run_together([GOOD, text, GOOD])
    assert second is None
    assert first is not None
    assert third is not None


def test_judgements_are_those_of_each_piece_alone():
    texts = [GOOD, LONG, UNREAD, GOOD.replace("c4", "c4-"), *PIECES, "no music", ""]
    together = judge_texts(texts)
    assert together == [judgement for text in texts for judgement in judge_texts([text])]


def test_a_book_that_crashes_the_program_is_run_piece_by_piece(tmp_path, monkeypatch):
    real = abc2midi.find()
    path = tmp_path / "abc2midi"
    # Crashes over a book, which has no -o.
    path.write_text(f'#!/bin/sh\ncase "$*" in *-o*) exec {real.path} "$@";; esac\nkill -SEGV $$\n')
    path.chmod(0o755)
    monkeypatch.setattr(abc2midi, "find", lambda: abc2midi.Program(str(path), real.version))
    assert run_together([GOOD, GOOD]) == [None, None]
    first, second = judge_texts([GOOD, LONG], profile="folk")
    assert first.status == "passed"
    assert second.status == "rejected"
