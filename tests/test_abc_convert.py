"""Conversion of scores: whose fault it is, and how bars and lengths are read and written."""

from __future__ import annotations

import builtins
import importlib
import pkgutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from scoregate.abc import finish, read
from scoregate.convert import (
    ConversionError,
    convert_file,
    formats,
    needs_conversion,
    piece_text,
    to_abc,
)
from scoregate.convert.abc_text import read_abc, split_bars
from scoregate.convert.bar_events import Event, parse_bar, write_bar
from scoregate.convert.piece import aligned
from scoregate.errors import ToolError, UnreadableError

XML = formats._SOUND_SCORE.encode()
MIDI = formats._SOUND_MIDI
C_MAJOR = (0,) * 7


@pytest.fixture(autouse=True)
def _no_memory() -> None:
    """Forget which converters were found to work."""
    formats._fault_of.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize(("content", "ending"), [(XML, ".xml"), (MIDI, ".mid")])
def test_a_sound_score_converts(content: bytes, ending: str) -> None:
    score = finish(to_abc(content, ending, "score")).score()
    assert [event.pitches for bar in score.voices[0].bars for event in bar.events if event.pitches]
    assert needs_conversion(ending)
    assert not needs_conversion(".abc")


def test_measures_that_hold_the_parts_are_turned_round() -> None:
    part = XML.decode().replace("score-partwise", "score-timewise")
    timewise = part.replace(
        '<part id="P1"><measure number="1">', '<measure number="1"><part id="P1">'
    )
    timewise = timewise.replace("</measure></part>", "</part></measure>")
    assert timewise.count("<part id=") == 1
    assert to_abc(timewise.encode(), ".musicxml", "score") == to_abc(XML, ".musicxml", "score")


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (b"no score", ".xml"),
        (b"no score", ".mid"),
        (b"PK\x03\x04 damaged", ".mxl"),
        (b"MThd\0\0\0\x06\0\0", ".mid"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><score-partwise/>", ".xml"),
        (b"<!--" + b"x" * 20_000 + b"--><!DOCTYPE x [<!ENTITY a 'b'>]><score-partwise/>", ".xml"),
        (b"\xff\xfe\0", ".xml"),
    ],
)
def test_a_damaged_file_is_the_files_fault(content: bytes, ending: str) -> None:
    with pytest.raises(UnreadableError, match=r"^mine: does not convert") as caught:
        to_abc(content, ending, "mine")
    assert "Export it again" in caught.value.remedy


@pytest.mark.parametrize(
    ("missing", "content", "ending"),
    [("xml2abc", XML, ".xml"), ("music21", MIDI, ".mid"), ("xml2abc", MIDI, ".midi")],
)
def test_a_missing_converter_is_no_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch, missing: str, content: bytes, ending: str
) -> None:
    real = builtins.__import__

    def without(name: str, globals=None, locals=None, names=(), level: int = 0):
        if missing == name.partition(".")[0] or missing in (names or ()):
            raise ModuleNotFoundError(f"No module named {missing!r}")
        return real(name, globals, locals, names, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolError, match=f"{missing}.*can't be loaded") as caught:
        to_abc(content, ending, "mine")
    assert "nstall" in caught.value.remedy
    assert "mine" not in caught.value.problem


def test_a_broken_converter_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from scoregate.vendor import xml2abc

    def broken(*_: object, **__: object) -> tuple[str, str]:
        raise AttributeError("no such function")

    monkeypatch.setattr(xml2abc, "vertaal", broken)
    with pytest.raises(ToolError, match="xml2abc does not work: AttributeError"):
        to_abc(XML, ".xml", "mine")


def test_a_broken_converter_ends_a_training_corpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else every file would be listed as one that doesn't convert."""
    from scoregate.vendor import xml2abc

    (tmp_path / "a.xml").write_bytes(XML)
    monkeypatch.setattr(xml2abc, "vertaal", lambda *_, **__: ("", ""))
    with pytest.raises(ConversionError):
        convert_file(tmp_path / "a.xml")
    monkeypatch.setattr(xml2abc, "vertaal", None)
    with pytest.raises(ToolError):
        convert_file(tmp_path / "a.xml")


@pytest.mark.parametrize("name", ["8/3", "4/3", "2/5", "6/7", "1/12", "3/2"])
def test_every_length_that_is_written_can_be_read(name: str) -> None:
    length = Fraction(name)
    events = [Event(Fraction(0), length, ((0, 0),), 0, 0) for _ in range(3)]
    text = write_bar([*events, Event(Fraction(0), Fraction(1), (), 0, 0)], C_MAJOR)
    assert [event.duration for event in parse_bar(text, C_MAJOR).events] == [length] * 3 + [1]
    score = read(f"X:1\nM:none\nL:1/8\nK:C\n{text}|]\n")
    assert not [f for f in score.findings if f.severity == "critical"]
    assert [event.duration for event in score.voices[0].bars[0].events][:3] == [length / 8] * 3


def test_two_whole_bar_rests_in_a_bar_are_one() -> None:
    """So converters write a staff whose two layers both rest."""
    head = "X:1\nL:1/8\nM:4/4\nK:C\nV:1\nV:2\n"
    for rests in ("z8 z8", "[K:G]z8 z8", "x8  x8"):
        piece = read_abc(f"{head}V:1\nC8|D8|\nV:2\n{rests}|E8|\n", "a")
        assert aligned(piece).voices["2"][0].text == rests[: rests.rindex(" ")].strip()
    unlike = read_abc(f"{head}V:1\nC8|\nV:2\nz4 z4|\n", "a")
    assert unlike.voices["2"][0].text == "z4 z4"
    with pytest.raises(ConversionError):
        aligned(read_abc(f"{head}V:1\nC8|\nV:2\nC8 C8|\n", "a"))


@pytest.mark.parametrize(
    ("music", "bars"),
    [
        ("C8|D8\nE8|F8\nG8|]", ["C8|", "D8|", "E8|", "F8|", "G8|]"]),
        ("C8|D4\nE4|F8|]", ["C8|", "D4 E4|", "F8|]"]),  # the bar is not full yet
        ("C8|D8\n|E8|]", ["C8|", "D8|", "E8|]"]),  # the barline comes with the next line
        ("C8|D8\n:|E8|]", ["C8|", "D8:|", "E8|]"]),
        ("C8|D8\\\nE4|]", ["C8|", "D8 E4|]"]),  # continued
        ("C8|\nM:3/4\nD6\nE6|]", ["C8|", "[M:3/4] D6|", "E6|]"]),
        ("C8|\nL:1/4\nD4\nE4|]", ["C8|", "[L:1/4] D4|", "E4|]"]),
    ],
)
def test_the_end_of_a_line_stands_for_the_barline_of_a_full_bar(music, bars) -> None:
    """As in the reader of the gates; without it two bars were merged to one that is too long."""
    piece = read_abc(f"X:1\nL:1/8\nM:4/4\nK:C\n{music}\n", "a")
    assert [bar.text + bar.right for bar in piece.voices["1"]] == bars


def test_an_invisible_barline_leaves_no_bracket() -> None:
    bars, before = split_bars("C4[|]|D4 [|]| [CE]4|]")
    assert [(bar.text, bar.right) for bar in bars] == [("C4", "|"), ("D4", "|"), ("[CE]4", "|]")]
    assert before == ""
    assert split_bars("[|]|C4|")[0][0].text == "C4"
    score = read("X:1\nL:1/4\nM:4/4\nK:C\nC4[|]|D4 [|]|E4|]\n")
    assert [f for f in score.findings if f.severity == "critical"] == []
    assert [bar.duration for bar in score.voices[0].bars] == [1, 1, 1]


def test_a_models_text_converts_with_its_resting_voices(tmp_path: Path) -> None:
    raw = "%a\n%b\n%c\nL:1/8\nM:4/4\nK:C\nV:1\nV:2\n[r:0/1][V:1]C8|\n[r:1/0][V:1]C8|][V:2]C8|]\n"
    (tmp_path / "a.abc").write_text(raw)
    text = piece_text(convert_file(tmp_path / "a.abc"))
    assert text.endswith("[V:1]C8|[V:2]z8|\n[V:1]C8|][V:2]C8|]\n")


def modules_of(package: str) -> list[str]:
    """Return the names of all modules of a package."""
    found = importlib.import_module(package)
    return [package, *(m.name for m in pkgutil.walk_packages(found.__path__, package + "."))]


@pytest.mark.slow
@pytest.mark.parametrize("package", ["scoregate.notagen", "scoregate.convert", "scoregate.abc"])
def test_inference_and_conversion_import_no_training(package: str) -> None:
    names = [name for name in modules_of(package) if "training" not in name]
    names = [name for name in names if not name.endswith("__main__")]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print([name for name in sys.modules if name.startswith('scoregate.notagen.training')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert len(names) > 5


def test_no_module_of_inference_names_training() -> None:
    """An import within a function would escape the test above."""
    root = Path(__file__).parent.parent
    folders = (root / "notagen", root / "scoregate", root / "lstm")
    for path in (file for folder in folders for file in folder.rglob("*.py")):
        if "training" not in path.relative_to(root).parts:
            assert "notagen.training" not in path.read_text(encoding="utf-8"), path
