"""The compiled loops do what the same loops in Python do."""

import gc
import random
import shutil
import sys

import numpy as np
import pytest
from fuzz import SEEDS, damaged

from scoregate.abc import voice_reader
from scoregate.abc.finish import finish
from scoregate.abc.lengths import WHOLE, wholes
from scoregate.abc.note_tokens import tokens_of
from scoregate.abc.reader import read
from scoregate.abc.score import Event
from scoregate.compiled import loops
from scoregate.validators.analysis import chords, dtw, midi_counts, sounding

needs_loops = pytest.mark.skipif(loops is None, reason="nothing was compiled here")

ORDINARY = "X:1\nL:1/8\nM:4/4\nK:Eb\n"
MUSIC = (
    "=B,,2_e'/^^c//__d3/4[C2^CE-]2|",
    "A-|A[AC]-|[A-c]2z-A2|",
    "(A(Bc)d) e)|(3ABc (5:4:5[CE]zA^AB c<d e>>f c>d2|",
    '"Am"A!p!B!!c"no end|!trill d|',
    ".A.B~cTdHe uAvB .|AB|:cd|1ef:|2gf|]",
    "A&c2|{de}fZ2|y3x/x14/3z0A/3c''''''''''|",
    "^/Aq`A`$B\tc\\",
    "[CEG][[CE]][][A|B]|[K:D]FC[L:1/4]F[M:3/4]F3|",
    "A٣B|[C٣E]zé|!é!A|(٣ABC|",
    "^c'''''''|_C,,,,,,,C-C,,,,,,-|C,,,,,,|",
    "+CE+A|A -|B- B|a" * 3,
)


def outcome(text):
    score = read(text)
    return score.voices, score.findings


@needs_loops
@pytest.mark.parametrize("music", MUSIC)
def test_stretches_of_music_are_read_alike(music, monkeypatch):
    text = f"{ORDINARY}{music}\n{music}\n"
    compiled = outcome(text)
    monkeypatch.setattr(voice_reader, "loops", None)
    assert outcome(text) == compiled


@pytest.mark.slow
@needs_loops
def test_damaged_pieces_are_read_alike(monkeypatch):
    texts = [damaged(random.Random(f"loops {number}")) for number in range(400)]
    compiled = [outcome(text) for text in texts]
    monkeypatch.setattr(voice_reader, "loops", None)
    for text, expected in zip(texts, compiled, strict=True):
        assert outcome(text) == expected, text


@needs_loops
def test_notes_are_collected_alike(monkeypatch):
    texts = [*SEEDS, "X:1\nK:C\n", *(f"{ORDINARY}{music}\n" for music in MUSIC)]
    scores = [finish(text).score() for text in texts]
    compiled = [sounding.notes(score) for score in scores]
    monkeypatch.setattr(sounding, "loops", None)
    for score, expected in zip(scores, compiled, strict=True):
        score.derived.clear()
        found = sounding.notes(score)
        for name in sounding.Notes.__slots__:
            one, other = getattr(found, name), getattr(expected, name)
            assert one.dtype == other.dtype, name
            assert np.array_equal(one, other), name


@needs_loops
def test_notes_are_spread_alike(monkeypatch):
    texts = [*SEEDS, *(f"{ORDINARY}{music}\n[M:6/8]{music}\n" for music in MUSIC)]
    scores = [finish(text).score() for text in texts]

    def spread():
        for score in scores:
            score.derived.clear()
            sets, lows = chords.voice_sets(score)[0], chords.lowest_pitches(score)
            yield [array.tolist() for array in (sounding.slices(score), sets, lows)]

    compiled = list(spread())
    monkeypatch.setattr(sounding, "loops", None)
    monkeypatch.setattr(chords, "loops", None)
    assert list(spread()) == compiled


@needs_loops
@pytest.mark.parametrize("count", [2, 30])  # few pairs are compared without a table of all kinds
def test_bars_are_warped_alike(count, monkeypatch):
    rng = np.random.default_rng(3)
    bars = np.left_shift(np.uint64(1), rng.integers(0, 6, (count, 16, 2), dtype=np.uint64))
    bars |= np.left_shift(np.uint64(1), rng.integers(0, 64, (count, 16, 2), dtype=np.uint64))
    bars[rng.random((count, 16)) < 0.2] = 0
    left, right = np.triu_indices(count)
    compiled = dtw.bar_distances(bars, left, right)
    monkeypatch.setattr(dtw, "loops", None)
    assert np.array_equal(dtw.bar_distances(bars, left, right), compiled)


@needs_loops
def test_tracks_are_counted_alike(monkeypatch):
    rng = random.Random(4)
    header = b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk"
    events = [b"\0\x90\x40\x40", b"\x81\0\x40\0", b"\0\xff\x51\3\7\xa1\x20", b"\0\xc0\5"]
    events += [b"\x83\x60\x80\x40\x40", b"\0\xf0\2\1\1", b"\xff\xff\xff\xff\xff\xff\1\x90"]
    events += [bytes(rng.randrange(256) for _ in range(3))]
    files = []
    for _ in range(300):
        track = b"".join(rng.choice(events) for _ in range(rng.randrange(9)))
        size = max(len(track) - rng.choice((0, 0, 0, 1)), 0)
        files.append(header + size.to_bytes(4, "big") + track)

    def counted(midi):
        try:
            return midi_counts.tracks(midi)
        except midi_counts.GateError as error:
            return str(error)

    compiled = [counted(midi) for midi in files]
    assert len({str(each) for each in compiled}) > 20
    monkeypatch.setattr(midi_counts, "loops", None)
    assert [counted(midi) for midi in files] == compiled


@needs_loops
def test_loops_refuse_what_they_were_not_made_for():
    with pytest.raises(TypeError):
        loops.read_notes(object(), "A", 0, 1, 1)
    with pytest.raises(TypeError):
        loops.collect([object()])
    one_bar, pair = np.zeros((1, 16, 2), np.uint64), np.array([7])
    with pytest.raises(ValueError, match="belong together"):
        loops.warp(one_bar, 16, 2, pair, pair, np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="belong together"):
        loops.slices(pair, pair, *np.zeros((2, 1)), np.array([False]), np.ones(1), one_bar)
    with pytest.raises(ValueError, match="belong together"):
        loops.voice_sets(*[pair] * 3, *np.zeros((2, 1)), np.ones(1), pair, pair, pair)
    with pytest.raises(TypeError, match="too few"):
        loops.slices(pair)


@pytest.mark.slow
@needs_loops
def test_reading_keeps_no_objects():
    text = "".join(f"{ORDINARY}{music}\n" for music in MUSIC)
    tokens = tokens_of(WHOLE // 8)
    chord = tokens.chord("[C2^CE-]2")
    watched = (Event, chord, chord.notes, chord.notes[0], tokens.note("=B,,2"), wholes[WHOLE // 8])
    counts = []
    for _ in range(2):
        for _ in range(30):
            sounding.notes(read(text))
        gc.collect()
        counts.append([sys.getrefcount(each) for each in watched])
    assert counts[0] == counts[1]


def test_loops_are_compiled_where_there_is_a_compiler():
    if not (shutil.which("gcc") or shutil.which("cc")) or sys.platform == "win32":
        pytest.skip("no compiler here: the loops run in Python")
    assert loops is not None
