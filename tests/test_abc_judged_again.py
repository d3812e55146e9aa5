"""What is archived is what was judged: finished texts get the same verdict again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_abc_finish import as_stream, music

from scoregate.abc.finish import finish
from scoregate.abc.reader import read
from scoregate.findings import Status
from scoregate.validators.checking import Checked, check_bytes
from scoregate.validators.examination import examine

STYLE = "Romantic/Schubert, Franz/Art Song"


Said = tuple[str, str, str | None]
"""Code, severity and voice of a finding."""


def result(checked: Checked, without: Counter[Said] | None = None) -> tuple:
    """Return verdict, findings and measures; NaN compares equal to itself."""
    said = Counter((f.code, f.severity, f.voice) for f in checked.findings)
    return checked.status, said - (without or Counter()), repr(checked.measures)


def only_in_the_source(text: str) -> Counter[Said]:
    """Return the findings on what the finished text no longer shows, such as wrong markers."""
    return Counter((f.code, f.severity, f.voice) for f in finish(text).source_findings)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["finished", "stream"])
def test_real_pieces_get_the_same_verdict_from_the_archived_text(
    real_pieces: list[Path], stream: bool
) -> None:
    statuses = set()
    for path in real_pieces[:: 4 if stream else 1]:
        text = as_stream(path.read_text()) if stream else path.read_text()
        judged = check_bytes("", text, STYLE)
        again = check_bytes("", judged.text, STYLE)
        assert result(again) == result(judged, only_in_the_source(text)), path
        assert again.text == judged.text == finish(text).text
        statuses.add(judged.status)
    assert statuses == {Status.PASSED, Status.REJECTED}


def test_a_unit_length_within_a_voice_and_a_resting_voice() -> None:
    """A rest in the other voice's unit would be half as long, and the archived text rejected."""
    body = "[r:0/2][V:1][L:1/4]C2 D2|[V:2]C,8|\n[r:1/1][V:1]E2 F2|\n[r:2/0][V:1]C4|][V:2]C,8|]\n"
    raw = f"%a\n%b\n%c\n%%score 1 2\nL:1/8\nM:4/4\nK:C\nV:1 treble\nV:2 bass\n{body}"
    for text in (raw, finish(raw).text):
        outcome = examine(text, gates=("bars",)).outcomes["bars"]
        assert outcome.findings == []
        assert outcome.measures["bars.full"] == 1


NOTES = {"1/4": ("C4", "C2 D2", "C>DE2"), "1/8": ("C8", "C4 z4", "(3C2D2E2 F4", "C4- C4")}
NOTES["1/16"] = ("C16", "z8 D8", "[CE]12 F4")
SHORT = {"1/4": "C3", "1/8": "C6", "1/16": "C12"}


@st.composite
def streams(draw: st.DrawFn) -> str:
    """Text as a model writes it, with fields inside voices, voices that rest, and faults."""
    voices = [str(n + 1) for n in range(draw(st.integers(2, 4)))]
    units = dict.fromkeys(voices, "1/8")
    rows = []
    count = draw(st.integers(1, 6))
    for _ in range(count):
        prefix = draw(st.sampled_from(["", "", "", "[L:1/4]", "[K:G]", "[M:4/4]"]))
        if prefix == "[L:1/4]":
            units = dict.fromkeys(voices, "1/4")
        full = draw(st.sampled_from([True, True, True, False]))
        right = draw(st.sampled_from(["|", "|", "|", ":|", "||", "|]"]))
        left = draw(st.sampled_from(["", "", "", "|:"]))
        cells = []
        present = draw(st.lists(st.sampled_from(voices), min_size=1, unique=True))
        for voice in sorted(present):
            field = draw(st.sampled_from(["", "", "", "L", "[K:D]", "[M:3/4]", "[M:4/4]"]))
            if field == "L":
                units[voice] = draw(st.sampled_from(sorted(NOTES)))
                field = f"[L:{units[voice]}]"
            notes = draw(st.sampled_from(NOTES[units[voice]])) if full else SHORT[units[voice]]
            cells.append(f"[V:{voice}]{left}{field}{notes}{right}")
        tail = draw(st.sampled_from(["", "", "%solo", " "]))
        rows.append(f"{prefix}{''.join(cells)}{tail}\n")
    rows = [f"[r:{i}/{count - 1 - i}]{row}" for i, row in enumerate(rows)]
    if draw(st.booleans()):
        rows.insert(
            draw(st.integers(0, count)), draw(st.sampled_from(["K:F\n", "L:1/8\n", "%a\n"]))
        )
    groups = draw(
        st.sampled_from(["%%score 1 2\n", "%%score { ( 1 2 )\n", "%%score (2 1) 3\n", ""])
    )
    heads = "".join(f"V:{voice} treble\n" for voice in voices)
    prompt = "".join(f"%{part}\n" for part in STYLE.split("/")) + "%end\n"
    return f"{prompt}{groups}L:1/8\nQ:1/4=100\nM:4/4\nK:C\n{heads}{''.join(rows)}"


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(streams())
def test_generated_pieces_get_the_same_verdict_from_the_archived_text(raw: str) -> None:
    finished = finish(raw)
    assert finish(finished.text).text == finished.text
    judged = check_bytes("", raw, STYLE)
    again = check_bytes("", finished.text, STYLE)
    assert judged.text == finished.text
    assert result(again) == result(judged, only_in_the_source(raw))
    assert result(judged)[1] >= only_in_the_source(raw)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(streams())
def test_finishing_changes_no_music(raw: str) -> None:
    assert music(finish(raw).score()) == music(read(raw))
