"""Comparisons of sets: overlaps after mgeval, shifts, the discriminator, and how sets are named."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.stats import gaussian_kde, wasserstein_distance

from scoregate.abc import read
from scoregate.archive import records
from scoregate.archive.reviews import Reviews
from scoregate.archive.store import Archive
from scoregate.errors import RequestError, UnreadableError
from scoregate.evaluation import note_features
from scoregate.evaluation.classifier import auc_interval
from scoregate.experiments.comparison import PieceFigures, ShiftFrom, compare_sets
from scoregate.experiments.comparison_page import ReadSet, write_comparison
from scoregate.experiments.distances import Distances
from scoregate.experiments.grid import cells_of
from scoregate.experiments.page import write_results
from scoregate.flows.typed import command_of
from scoregate.requests import CompareRequest, SweepRequest
from scoregate.tasks.compare import measured, read_item
from scoregate.tasks.sets import Item, list_set
from scoregate.tasks.sweep import path_of

TUNE = "X:1\nT:x\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n"


def pieces(count: int, seed: int, shift: float = 0.0) -> list[PieceFigures]:
    rng = np.random.default_rng(seed)
    return [
        PieceFigures(
            f"{seed}.{i}",
            f"{seed}.{i}",
            {
                "a: moved": float(rng.normal(shift)),
                "a: same": float(rng.normal()),
                "b: constant": 1.0,
                "b: rare": 1.0 if i < 3 else math.nan,
            },
            {"c: shape": rng.dirichlet([2.0, 3.0, 4.0]).tolist()},
        )
        for i in range(count)
    ]


# --- overlap and divergence ----------------------------------------------------------------


@pytest.mark.slow
def test_the_overlap_is_that_of_scipys_densities():
    rng = np.random.default_rng(1)
    one, other = rng.normal(0, 1, (60, 1)), rng.normal(0.7, 1.3, (70, 1))
    found = Distances(one, other).overlap()
    x = np.linspace(-6, 14, 4000)
    step = x[1] - x[0]
    inside, outside, both = (
        gaussian_kde(each)(x) for each in (pdist(one), pdist(other), cdist(one, other).ravel())
    )
    assert found.first == pytest.approx(np.minimum(inside, both).sum() * step, abs=0.003)
    assert found.second == pytest.approx(np.minimum(outside, both).sum() * step, abs=0.003)
    p, q = (np.maximum(each, 1e-9) / np.maximum(each, 1e-9).sum() for each in (inside, both))
    assert found.first_kl == pytest.approx((p * np.log(p / q)).sum(), abs=0.003)


def test_equal_sets_overlap_and_distant_ones_do_not():
    values = np.random.default_rng(2).normal(0, 1, (50, 1))
    near = Distances(values, values + 1e-9).overlap()
    assert near.first > 0.97
    assert near.first_kl < 0.02
    far = Distances(values, values + 100).overlap()
    assert far.first < 0.01
    assert far.first_kl > 3


def test_weights_are_pieces_drawn_several_times():
    values = np.random.default_rng(3).normal(0, 1, (30, 1))
    other = np.random.default_rng(4).normal(1, 1, (30, 1))
    chosen = np.arange(30) % 2 == 0
    weighted = Distances(values, other).overlap(chosen.astype(float), np.ones(30))
    plain = Distances(values[chosen], other).overlap()
    assert weighted.first == pytest.approx(plain.first, abs=0.02)
    lone = Distances(values[:1], other).overlap()
    assert math.isnan(lone.first)


# --- a whole comparison --------------------------------------------------------------------


@pytest.mark.slow
def test_a_moved_measure_is_found_and_the_others_are_not():
    found = compare_sets(pieces(60, 1, 2.0), pieces(60, 2), resamples=50)
    rows = {row.name: row for row in found.rows}
    assert set(rows) == {"a: moved", "a: same", "c: shape"}
    assert found.constant == ["b: constant"]
    assert found.left_out == ["b: rare"]
    moved, same = rows["a: moved"], rows["a: same"]
    assert moved.shift.low > 1 > same.shift.high
    assert moved.overlap_first.value < same.overlap_first.value
    for row in found.rows:
        assert row.overlap.low <= row.overlap.value <= row.overlap.high
    assert found.shift.low < found.shift.value < found.shift.high
    assert found.chance < found.shift.low
    assert found.separations["all"].telling[0][0] == "a: moved"
    assert found.separations["all"].telling[0][1] < 0  # larger in the first set
    assert found.separations["all"].low > 0.7
    assert found == compare_sets(pieces(60, 1, 2.0), pieces(60, 2), resamples=50)


@pytest.mark.slow
def test_sets_of_one_origin_are_alike():
    found = compare_sets(pieces(60, 1), pieces(60, 2), resamples=20)
    assert found.shift.value < 0.4
    assert found.overlap.value > 0.9
    assert found.separations["all"].low < 0.6
    assert found.shared == 0
    assert compare_sets(pieces(9, 1), pieces(9, 1), resamples=0).shared == 9


def test_small_sets_have_no_classifier_and_no_error():
    found = compare_sets(pieces(2, 1), pieces(3, 2), resamples=10)
    assert found.separations == {}
    assert compare_sets(pieces(1, 1), pieces(1, 2), resamples=10).rows == []


def test_the_interval_of_an_auc():
    rng = np.random.default_rng(1)
    low, high = auc_interval(rng.normal(0, 1, 80), rng.normal(1, 1, 80))
    assert low < 0.76 < high  # Phi(1 / sqrt 2)
    assert high - low < 0.2
    assert auc_interval(np.zeros(9), np.ones(9)) == pytest.approx((1.0, 1.0))


def test_the_shift_is_in_standard_deviations():
    reference = [PieceFigures("", "", {"x": float(v)}) for v in (-1, 1)]
    moved = [PieceFigures("", "", {"x": float(v)}) for v in (-0.5, 1.5)]
    shifts = ShiftFrom(reference)
    assert shifts.shift(shifts.table(moved)) == pytest.approx(0.5)
    table = shifts.table(moved)
    found = shifts.shifts(table, np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    assert found[:2] == pytest.approx([0.5, 1.0])  # 1 at most
    assert math.isnan(found[2])
    rng = np.random.default_rng(1)
    one, other = rng.normal(0.3, 1, 20), rng.normal(0, 2, 30)
    weights = rng.multinomial(20, np.full(20, 1 / 20), 3).astype(float)
    shifts = ShiftFrom([PieceFigures("", "", {"x": float(v)}) for v in other])
    expected = [wasserstein_distance(one, other, row) / other.std() for row in weights]
    assert shifts.shifts(one[:, None], weights) == pytest.approx(expected)


@pytest.mark.slow
def test_the_page_of_a_comparison_tells_what_was_lost(tmp_path):
    sets = (
        ReadSet("<b>$one|", 80, pieces(20, 1), [("x.mid", "no notes"), ("y.mid", "no notes")]),
        ReadSet("two", 20, pieces(20, 2), []),
    )
    found = compare_sets(sets[0].pieces, sets[1].pieces, resamples=10)
    paths = write_comparison(tmp_path, found, sets, "scoregate compare one two")
    table = (tmp_path / "results.md").read_text()
    assert "20 pieces read, 2 could not be read; drawn from 80" in table
    # The table is Markdown: a name's markup stays text there as well.
    assert "| \\<b>$one\\| | no notes | 2 | x.mid, y.mid |" in table
    assert "<b>$one" not in (tmp_path / "index.html").read_text()
    data = json.loads((tmp_path / "results.json").read_text())
    assert data["comparison"]["seed"] == 1
    assert {"low", "high"} <= set(data["comparison"]["rows"][0]["overlap"])
    assert (tmp_path / "distributions.svg").is_file()
    assert set(paths) == {"page", "table", "json", "figure"}


# --- the features of a piece ---------------------------------------------------------------


def test_features_by_hand():
    found = note_features(read("X:1\nM:4/4\nL:1/4\nK:C\nC2 E G-|G4|]\n"))
    assert found.numbers["pitches used"] == 3
    assert found.numbers["pitch range"] == 7
    assert found.numbers["pitch interval"] == pytest.approx(3.5)
    assert found.numbers["time between onsets"] == pytest.approx(1.5)
    assert found.numbers["notes a bar"] == pytest.approx(1.5)
    classes = found.vectors["pitch classes"]
    assert [classes[0], classes[4], classes[7]] == pytest.approx([1 / 3] * 3)
    assert found.vectors["pitch class transitions"][4 * 12 + 7] == pytest.approx(0.5)
    assert sum(found.vectors["note lengths"]) == pytest.approx(1)


def test_a_piece_without_notes_has_no_features():
    found = note_features(read("X:1\nM:4/4\nL:1/4\nK:C\nz4|]\n"))
    assert all(math.isnan(found.numbers[name]) for name in ("pitch range", "pitch interval"))
    assert sum(found.vectors["pitch classes"]) == 0


def test_voices_are_measured_as_they_sound():
    head = "X:1\nM:4/4\nL:1/4\nK:C\nV:1 treble{}\nV:2 bass\n"
    music = "V:1\nCDEF|GABc|\nV:2\nC,D,E,F,|G,A,B,C|\n"
    plain = measured("x", head.format("") + music).numbers
    moved = measured("x", head.format(" transpose=-24") + music).numbers
    assert plain["counterpoint: crossing"] == 0
    assert moved["counterpoint: crossing"] == 1
    assert plain["counterpoint: parallel octaves"] == 100


# --- names of sets -------------------------------------------------------------------------


def test_a_folder_is_read_and_what_is_no_score_is_named(tmp_path):
    (tmp_path / "a.abc").write_text(TUNE)
    (tmp_path / "b.abc").write_text("no music at all")
    (tmp_path / "c.mid").write_bytes(b"MThd")
    listed = list_set(str(tmp_path), "out", tmp_path)
    reads = {item.name.rsplit("/")[-1]: read_item(item) for item in listed.items}
    assert isinstance(reads["a.abc"], PieceFigures)
    assert isinstance(reads["b.abc"], tuple)
    assert isinstance(reads["c.mid"], tuple)
    assert reads["c.mid"][1]
    assert [item.name for item in listed.drawn(2, 1).items] == [
        item.name for item in listed.drawn(2, 1).items
    ]
    assert listed.drawn(2, 1).found == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("corpus:bahc", "Did you mean corpus:bach"),
        ("nowhere/", "no piece in nowhere/"),
        ("run:none", "no piece in run:none"),
        ("status:perhaps", "no status"),
        ("tag:x,lines:raw", "no part of a set's name"),
    ],
)
def test_a_set_that_is_not_there_is_told(tmp_path, name, message):
    with pytest.raises(RequestError, match=message):
        list_set(name, str(tmp_path / "out"), tmp_path)


def test_pieces_of_the_archive_by_run_tag_and_rating(tmp_path):
    store = Archive(tmp_path)
    entries = [
        store.add(
            {"score.abc": TUNE.replace("CDEF", "CDEF"[i:] + "CDEF"[:i])},
            records.PieceReport(status="passed", style="Folk/A, B/Fiddle", run_id=f"run-{i % 2}"),
        )
        for i in range(4)
    ]
    ids = [entry.piece_id for entry in entries]
    Reviews(tmp_path).tag("me", ids[0], "good")
    Reviews(tmp_path).rate("me", ids[1], 5)

    def names(name: str) -> int:
        return list_set(name, str(tmp_path), tmp_path).found

    assert names("style:Folk/A, B,status:passed") == names("status:any") == 4
    assert names("run:run-0") == 2
    assert names("tag:good") == names("rated:4") == names("run:run-0,tag:good") == 1
    assert names(f"archive:{tmp_path}") == 4
    with pytest.raises(RequestError, match="no number"):
        names("rated:many")


def test_cells_of_a_sweep_by_their_settings(tmp_path):
    request = SweepRequest(temperature=[1.0, 2.0], lines="both", count=1, folder=str(tmp_path))
    row = {
        "seed": 1, "raw": TUNE, "status": "passed", "reasons": [], "gates": [], "measures": {},
        "ended": "finished", "bars": 4, "characters": 100, "steps": 10, "resampled_lines": 0,
        "refused_lines": 0, "seconds": 0.5,
    }  # fmt: skip
    cells = cells_of(request)
    for cell in cells:
        path_of(tmp_path, cell).parent.mkdir(exist_ok=True)
        path_of(tmp_path, cell).write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    write_results(tmp_path, [(cell, [row]) for cell in cells], "scoregate sweep")
    assert list_set(f"sweep:{tmp_path},temperature:2.0,lines:raw", "", tmp_path).found == 1
    assert list_set(f"sweep:{tmp_path},temperature:2.0", "", tmp_path).found == 2
    with pytest.raises(UnreadableError, match="no finished sweep"):
        list_set(f"sweep:{tmp_path}/x", "", tmp_path)


def test_the_command_that_repeats_a_comparison():
    request = CompareRequest(first="my scores/", second="corpus:bach", most=50)
    assert command_of("compare", request, ("first", "second")) == (
        "scoregate compare 'my scores/' corpus:bach --most 50"
    )


def test_an_item_that_is_a_text():
    assert isinstance(read_item(Item("x", text=TUNE)), PieceFigures)
