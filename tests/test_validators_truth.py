"""The reader against independent readers: abc2midi, abctoolkit, abc2xml with music21."""

from __future__ import annotations

from pathlib import Path

import pytest
from truth import against_abc2midi, against_abctoolkit, against_music21, bar_at

from scoregate.abc.reader import read
from scoregate.validators import abc2midi

PIECES = Path(__file__).parent / "pieces"


@pytest.fixture
def abc2midi_5() -> None:
    """Skip where ``SCOREGATE_ABC2MIDI`` names another version: 4.84 reads some clefs wrongly."""
    version = abc2midi.find().version
    if not version.startswith("5."):
        pytest.skip(f"the comparison is with abc2midi 5, and {abc2midi.VARIABLE} names {version}")


INTERLEAVED = ("chorale", "song", "winds")

# Bars in which abc2midi is wrong (docs/gate.md explains each): accidentals on grace notes, which
# it is told to leave out, ties of one note of a chord, arpeggios tied into their chord.
ABC2MIDI_DIFFERS = {
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
@pytest.mark.usefixtures("abc2midi_5")
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


@pytest.mark.usefixtures("abc2midi_5")
def test_the_comparison_would_see_a_difference() -> None:
    text = (PIECES / "chorale.abc").read_text()
    wrong = text.replace("[V:1]A2 B2", "[V:1]A2 B3", 1)
    _, differences = against_abc2midi(text)
    assert differences == []
    good, bad = read(text), read(wrong)
    assert good.voices[0].bars[1].duration != bad.voices[0].bars[1].duration
    compared, differing, _ = against_abctoolkit(wrong)
    assert (compared, differing) == (40, [])


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.usefixtures("abc2midi_5")
def test_real_notes_agree_with_abc2midi(real_pieces: list[Path]) -> None:
    total = 0
    for path in real_pieces[::5]:
        text, name = path.read_text(), f"{path.parent.name}/{path.name}"
        count, differences = against_abc2midi(text)
        total += count
        if differences:
            score = read(text)
            assert {(name, d.voice, bar_at(score, d)) for d in differences} <= ABC2MIDI_DIFFERS
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
