"""Faults put into good pieces are found, in the right voice and bar."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from mutants import Tally, good_pieces, judge
from text_mutants import FAULTS, Piece

from scoregate.abc.reader import read

PIECES = [Path(__file__).parent / "pieces" / f"{name}.abc" for name in ("chorale", "song", "winds")]
LOCAL = [name for name, (_, gates) in FAULTS.items() if gates == ("syntax", "bars")]


def tally_of(name: str, pieces: list[Piece], each: int) -> Tally:
    """Put a fault into every piece several times and count what was found."""
    make, gates = FAULTS[name]
    tally = Tally()
    rng = random.Random(f"tests {name}")
    for piece in pieces:
        for _ in range(each):
            mutant = make(piece, rng)
            if mutant is not None and mutant.text != piece.text:
                judge(piece, mutant, gates, tally)
    return tally


@pytest.fixture(scope="module")
def small_pieces() -> list[Piece]:
    return [Piece(path.read_text(), read(path.read_text())) for path in PIECES]


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCAL)
def test_every_fault_is_found_where_it_is(name: str, small_pieces: list[Piece]) -> None:
    tally = tally_of(name, small_pieces, 5)
    assert tally.clear > 0
    assert (tally.found, tally.placed) == (tally.clear, tally.clear), tally.missed


@pytest.mark.slow
@pytest.mark.real
def test_faults_in_real_pieces(real_pieces: list[Path]) -> None:
    pieces = good_pieces(real_pieces[::20])
    assert len(pieces) >= 3
    clear = found = placed = 0
    for name in LOCAL:
        tally = tally_of(name, pieces, 2)
        clear, found, placed = clear + tally.clear, found + tally.found, placed + tally.placed
    assert found >= 0.99 * clear
    assert placed >= 0.99 * clear


def test_the_untouched_pieces_pass() -> None:
    assert len(good_pieces(PIECES)) == len(PIECES)
