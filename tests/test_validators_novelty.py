"""What is shared with known pieces: found in every key, named, and nothing else."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from scoregate.abc.reader import read
from scoregate.errors import GateError, ToolError, UnreadableError
from scoregate.flows.cli import app
from scoregate.validators.analysis import novelty_index
from scoregate.validators.analysis.instruments import midi_number
from scoregate.validators.analysis.novelty_index import load, save
from scoregate.validators.analysis.shared_passages import GRAM, grams, melody, texture
from scoregate.validators.gates import novelty
from scoregate.validators.gates.novelty import check

HEAD = 'X:1\nL:1/8\nQ:1/4=90\nM:4/4\nK:C\nV:1 treble nm="S"\nV:2 bass nm="B"\n'


def bars(seed: int, count: int) -> list[tuple[list[int], list[int]]]:
    """Four notes of each voice a bar, as MIDI numbers."""
    rng = random.Random(seed)
    return [
        ([rng.randrange(60, 80) for _ in range(4)], [rng.randrange(43, 60) for _ in range(4)])
        for _ in range(count)
    ]


def name(pitch: int) -> str:
    letter = ("=C", "^C", "=D", "^D", "=E", "=F", "^F", "=G", "^G", "=A", "^A", "=B")[pitch % 12]
    return letter + "," * max(0, 5 - pitch // 12) + "'" * max(0, pitch // 12 - 5)


def piece(music: list, shift: int = 0, upbeat: bool = False):
    lines = ["[V:1]z2|[V:2]z2|"] if upbeat else []
    for upper, lower in music:
        one = "".join(name(p + shift) + "2" for p in upper)
        other = "".join(name(p + shift) + "2" for p in lower)
        lines.append(f"[V:1]{one}|[V:2]{other}|")
    return read(HEAD + "\n".join(lines) + "\n")


def test_the_names_above_are_right():
    (voice, _) = piece([([60, 61, 72, 79], [43, 47, 59, 50])]).voices
    assert [e.pitches[0] for e in voice.bars[0].events] == [60, 61, 72, 79]
    assert midi_number("C4") == 60


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Put an index of two pieces in place of the shipped one."""
    path = tmp_path / "known.npz"
    save(path, {"first": piece(bars(1, 16)), "second": piece(bars(2, 16))})
    indices = load(path)
    monkeypatch.setattr(novelty, "known_pieces", lambda: indices)


@pytest.mark.parametrize("shift", [0, 5, -3, 12])
@pytest.mark.parametrize("upbeat", [False, True])
def test_a_copied_passage_is_found_in_every_key(known, shift, upbeat):
    music = bars(3, 4) + bars(2, 16)[5:12] + bars(4, 4)
    outcome = check(piece(music, shift, upbeat))
    copy = next(f for f in outcome.findings if f.code == "novelty.copy")
    assert (copy.severity, copy.found) == ("critical", "second")
    assert outcome.measures["novelty.shared_bars"] == pytest.approx(7, abs=0.3)
    assert copy.bar == 5 + upbeat
    assert copy.line == 12 + upbeat


def test_new_music_shares_nothing(known):
    outcome = check(piece(bars(9, 16)))
    assert outcome.findings == []
    assert outcome.measures == {"novelty.shared_bars": 0, "novelty.melody_bars": 0}


def test_one_bar_changed_breaks_the_passage(known):
    music = bars(2, 16)[:7]
    music[3] = bars(8, 1)[0]
    assert check(piece(music)).measures["novelty.shared_bars"] < 4


def test_a_tune_set_anew_is_a_remark(known):
    mixed = [(old[0], new[1]) for old, new in zip(bars(1, 16), bars(7, 16), strict=True)]
    outcome = check(piece(mixed))
    assert [(f.code, f.severity, f.found) for f in outcome.findings] == [
        ("novelty.known-melody", "warning", "first")
    ]


def test_symbols_do_not_depend_on_the_key_or_the_barlines():
    music = bars(1, 8)
    one, other = piece(music), piece(music, 4)
    assert (texture(one).symbols == texture(other).symbols).all()
    assert (melody(one).symbols == melody(other).symbols).all()
    text = one.text.replace("|\n[V:1]", " ").replace("|[V:2]", "|[V:2]")
    assert read(re.sub(r"\n\[V:2\]", "", text)) is not None
    assert len(set(texture(one).symbols.tolist())) > 25


@pytest.mark.parametrize("text", ["", HEAD + "[V:1]z8|[V:2]z8|\n", HEAD + "[V:1]c8|[V:2]C8|\n"])
def test_too_little_music_shares_nothing(known, text):
    assert check(read(text)).measures == {"novelty.shared_bars": 0, "novelty.melody_bars": 0}


def test_grams_need_enough_symbols():
    assert len(grams(np.arange(GRAM - 1, dtype=np.uint32))) == 0
    assert len(grams(np.arange(GRAM + 1, dtype=np.uint32))) == 2


def test_a_damaged_index_is_a_fault_of_the_gate(tmp_path):
    path = tmp_path / "x.npz"
    for content in (b"", b"PK\x03\x04 nothing", b"junk"):
        path.write_bytes(content)
        with pytest.raises(GateError, match="can't be read"):
            load(path)
    with pytest.raises(GateError, match="can't be read"):
        load(tmp_path / "none.npz")


def test_the_index_is_built_from_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.abc").write_text(piece(bars(1, 8)).text)
    (tmp_path / "two.abc").write_text(piece(bars(2, 8)).text)
    assert novelty_index.build(tmp_path, tmp_path / "i.npz") == 2
    assert load(tmp_path / "i.npz")["texture"].names == ["one", "two"]
    with pytest.raises(UnreadableError, match=r"no \.abc"):
        novelty_index.build(tmp_path / "a" / "none", tmp_path / "i.npz")


def test_the_command_makes_an_index_and_says_where(tmp_path):
    (tmp_path / "one.abc").write_text(piece(bars(1, 8)).text)
    out = tmp_path / "index"
    result = CliRunner().invoke(app, ["novelty-index", str(tmp_path), "--out", str(out)])
    assert (result.exit_code, result.output) == (0, f"1 piece indexed in {out}\n")
    assert load(out)["melody"].names == ["one"]


def test_an_index_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "one.abc").write_text(piece(bars(1, 8)).text)
    with pytest.raises(ToolError, match="can't be written"):
        novelty_index.build(tmp_path, tmp_path / "missing" / "index.npz")


def test_the_shipped_index_is_small_and_knows_the_chorales():
    assert novelty_index.SHIPPED.stat().st_size < 200_000
    indices = novelty_index.known_pieces()
    assert len(indices["texture"].names) > 350
    assert "bwv373" in indices["texture"].names
    with np.load(Path(novelty_index.SHIPPED), allow_pickle=False) as stored:
        assert set(stored.files) == {
            "names", "texture", "texture_lengths", "melody", "melody_lengths",
        }  # fmt: skip


@pytest.mark.real
def test_the_one_real_copy_is_found(real_pieces):
    copies = {}
    for path in real_pieces:
        for finding in check(read(path.read_bytes())).findings:
            if finding.severity == "critical":
                copies[f"{path.parent.name}/{path.name}"] = finding.found
    assert copies == {"Baroque_BachJohannSebastian_Choral/output65.abc": "bwv373"}
