"""The reader against independent readers: abc2midi, abctoolkit, abc2xml with music21."""

from __future__ import annotations

from pathlib import Path

import pytest
from truth import against_abc2midi, against_abctoolkit, against_music21, bar_at

from scoregate.abc.reader import read

PIECES = Path(__file__).parent / "pieces"
INTERLEAVED = ("chorale", "song", "winds")

# docs/gate.md explains each: accidentals of grace notes that abc2midi is told to leave out,
# ties that it ties to another note of the chord, arpeggios tied into their chord.
THEIRS = {
    ("Baroque_VivaldiAntonio_ArtSong/output1.abc", "2", 9),
    ("Romantic_ChopinFrederic_Orchestral/output2.abc", "9", 55),
    ("Romantic_ChopinFrederic_Orchestral/output2.abc", "9", 63),
    ("Romantic_DebussyClaude_Keyboard/output2.abc", "1", 28),
    ("Romantic_DebussyClaude_Keyboard/output2.abc", "1", 30),
    ("Romantic_DebussyClaude_Keyboard/output2.abc", "1", 39),
    ("Romantic_DebussyClaude_Keyboard/output2.abc", "1", 41),
    ("Romantic_SchubertFranz_ArtSong/output33.abc", "2", 36),
    ("Romantic_SchubertFranz_ArtSong/output46.abc", "4", 28),
    ("Romantic_SchubertFranz_ArtSong/output46.abc", "4", 29),
    ("Romantic_SchubertFranz_ArtSong/output81.abc", "2", 29),
    ("Romantic_SchubertFranz_ArtSong/output81.abc", "2", 30),
}


@pytest.mark.parametrize("name", INTERLEAVED)
def test_notes_agree_with_abc2midi(name: str) -> None:
    count, differences = against_abc2midi((PIECES / f"{name}.abc").read_text())
    assert count > 40
    assert differences == []


@pytest.mark.parametrize("name", INTERLEAVED)
def test_bars_agree_with_abctoolkit(name: str) -> None:
    compared, differing, _ = against_abctoolkit((PIECES / f"{name}.abc").read_text())
    assert compared > 30
    assert differing == []


@pytest.mark.slow
@pytest.mark.parametrize("name", INTERLEAVED)
def test_pitches_agree_with_music21(name: str) -> None:
    count, differing = against_music21((PIECES / f"{name}.abc").read_text())
    assert count > 7
    assert differing == []


def test_the_comparison_would_see_a_difference() -> None:
    text = (PIECES / "chorale.abc").read_text()
    wrong = text.replace("[V:1]A2 B2", "[V:1]A2 B3", 1)
    _, differences = against_abc2midi(text)
    assert differences == []
    ours, theirs = read(text), read(wrong)
    assert ours.voices[0].bars[1].duration != theirs.voices[0].bars[1].duration
    compared, differing, _ = against_abctoolkit(wrong)
    assert (compared, differing) == (40, [])


@pytest.mark.slow
@pytest.mark.real
def test_real_notes_agree_with_abc2midi(real_pieces: list[Path]) -> None:
    total = 0
    for path in real_pieces[::5]:
        text, name = path.read_text(), f"{path.parent.name}/{path.name}"
        count, differences = against_abc2midi(text)
        total += count
        if differences:
            score = read(text)
            assert {(name, d.voice, bar_at(score, d)) for d in differences} <= THEIRS
    assert total > 5_000


@pytest.mark.slow
@pytest.mark.real
def test_real_bars_agree_with_abctoolkit(real_pieces: list[Path]) -> None:
    total = beyond = 0
    for path in real_pieces[::3]:
        compared, differing, unmeasured = against_abctoolkit(path.read_text())
        assert differing == [], path
        total, beyond = total + compared, beyond + unmeasured
    assert total > 5_000
    assert beyond < 20


@pytest.mark.slow
@pytest.mark.real
def test_real_pitches_agree_with_music21(real_pieces: list[Path]) -> None:
    short = [path for path in real_pieces if path.stat().st_size < 3000]
    for path in short[::20]:
        _, differing = against_music21(path.read_text())
        assert differing == [], path
