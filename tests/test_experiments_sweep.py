"""Presets, the grid of a sweep, its statistics and tables, and a sweep that is run."""

from __future__ import annotations

import csv
import io
import json
import re
from functools import partial
from pathlib import Path

import pytest
from commands import scoregate, scoregate_here
from typer.testing import CliRunner

from scoregate.errors import RequestError, UnreadableError
from scoregate.experiments import grid
from scoregate.experiments.grid import cells_of
from scoregate.experiments.page import pooled, write_results
from scoregate.experiments.record import read_experiment
from scoregate.experiments.statistics import summary
from scoregate.flows import cli
from scoregate.flows.typed import command_of
from scoregate.presets import find_preset, measured_presets, presets
from scoregate.requests import ProduceRequest, SweepRequest
from scoregate.tasks.sweep import path_of, rows_of


def row(status: str = "passed", **values) -> dict:
    gates = [] if status == "passed" else ["bars"]
    return {
        "seed": 1, "raw": "X", "status": status, "reasons": [], "gates": gates,
        "measures": {"measures.notes": 10.0}, "ended": "finished", "bars": 4, "characters": 100,
        "steps": 10, "resampled_lines": 0, "refused_lines": 0, "seconds": 0.5,
    } | values  # fmt: skip


def test_a_preset_fills_in_what_is_not_given():
    preset = find_preset("liszt-showpiece")
    request = ProduceRequest(preset="liszt-showpiece", top_k=20)
    assert (request.temperature, request.top_p) == (preset.temperature, preset.top_p)
    assert request.top_k == 20
    again = ProduceRequest.model_validate(request.model_dump(by_alias=False))
    assert again == request
    plain = ProduceRequest(temperature=1.5, top_p=0.95, top_k=20)
    assert request.key == plain.key
    with pytest.raises(RequestError, match="no sampling preset"):
        find_preset("lizst-showpiece")


@pytest.mark.slow
def test_a_grid_that_explodes_asks_with_its_size_and_time(monkeypatch):
    monkeypatch.setattr(grid, "LARGEST", 10)
    wanted = ["sweep", "--temperature", "1", "--temperature", "1.2", "--count", "3600",
              "--processes", "1"]  # fmt: skip
    with pytest.raises(RequestError) as refused:
        CliRunner().invoke(cli.app, wanted, catch_exceptions=False)
    found = re.search(r"2 cells with 7,200 pieces, about ([\d.]+) hours", str(refused.value))
    assert found
    # 7,200 pieces take a tenth of an hour and more, on any one core.
    assert float(found[1]) > 0
    assert "--yes" in refused.value.remedy


def test_the_presets_lie_within_what_their_source_says():
    found = {preset.name: preset for preset in presets()}
    assert 0.9 <= found["bach-polyphony"].temperature <= 1.1
    assert 7 <= found["bach-polyphony"].top_k <= 10
    assert 1.2 <= found["chopin-nocturne"].temperature <= 1.4
    assert all(preset.source and preset.advice for preset in found.values())
    for preset in presets():
        ProduceRequest(preset=preset.name)


def test_a_grid_has_every_combination_once():
    request = SweepRequest(temperature=[0.8, 1.0], top_p=[0.85, 0.9], seed=[1, 2], lines="both")
    cells = cells_of(request)
    assert len(cells) == len({cell.key for cell in cells}) == 16
    assert {(cell.temperature, cell.top_p, cell.judged, cell.seed) for cell in cells} == {
        (t, p, judged, seed)
        for t in (0.8, 1.0)
        for p in (0.85, 0.9)
        for judged in (False, True)
        for seed in (1, 2)
    }
    assert [cell.preset for cell in cells_of(SweepRequest(preset=["careful"]))] == ["careful"]
    with pytest.raises(RequestError, match="temperature"):
        cells_of(SweepRequest(temperature=[-1.0]))


def test_a_cell_keeps_its_key_and_its_seeds():
    (cell,) = cells_of(SweepRequest(temperature=[1.0], count=3))
    assert cell.seeds == cells_of(SweepRequest(temperature=[2.0], count=3))[0].seeds
    assert len(set(cell.seeds)) == 3
    (named,) = cells_of(SweepRequest(preset=["as-trained"], count=3))
    assert named.key == cell.key


def test_the_figures_of_a_cell():
    rows = [row(), row(), row("rejected", seconds=1.0, steps=20), row("could not be judged")]
    rows[3]["gates"] = []
    found = summary(rows)
    assert (found["pieces"], found["passed"], found["not_judged"]) == (4, 2, 1)
    assert found["rate"] == 0.5
    assert found["reasons"] == {"bars": 0.25}
    assert found["steps_per_character"] == 50 / 400
    assert found["seconds_per_piece"] == pytest.approx(2.5 / 4)
    assert found["seconds_per_passed"] == pytest.approx(2.5 / 2)
    assert summary([row("rejected")])["seconds_per_passed"] is None
    assert found["drawn_per_kept"] is None  # rows of a version that did not count
    counted = [row(characters_drawn=150, characters_kept=100) for _ in range(2)]
    assert summary(counted)["drawn_per_kept"] == 1.5
    assert summary([*counted, row()])["drawn_per_kept"] is None


@pytest.mark.slow
def test_cells_of_one_setting_are_pooled_and_written(tmp_path):
    request = SweepRequest(temperature=[1.0, 2.0], seed=[1, 2], count=2, folder="a b")
    results = [(cell, [row(), row("rejected")]) for cell in cells_of(request)]
    assert [found["pieces"] for _, found in pooled(results)] == [4, 4]
    paths = write_results(tmp_path, results, command_of("sweep", request))
    table = Path(paths["table"]).read_text()
    assert "scoregate sweep --temperature 1.0 --temperature 2.0 --seed 1" in table
    assert "--folder 'a b'" in table
    assert "50.0%" in table
    rows = list(csv.DictReader(io.StringIO(Path(paths["csv"]).read_text())))
    assert [line["measures.notes"] for line in rows] == ["10.0", "10.0"]
    assert json.loads(Path(paths["json"]).read_text())[1]["settings"]["temperature"] == 2.0
    # What is the same in all rows stands once, above the table of the page.
    page = read_experiment(tmp_path)
    assert ("top_k", "9") in page.facts
    assert ("lines", "raw") in page.facts
    assert page.tables[0].columns[:2] == ["T", "pieces"]
    assert [row[0] for row in page.tables[0].rows] == ["1", "2"]
    figure = Path(paths["figure"]).read_text()
    assert "pass rate" in figure
    write_results(tmp_path, results, command_of("sweep", request))
    assert Path(paths["figure"]).read_text() == figure


@pytest.fixture(scope="module")
def swept(prefect_server, tmp_path_factory):
    """Sweep one cell in a process of its own; return the folder, and what sweeps there again."""
    folder = tmp_path_factory.mktemp("swept")
    words = ("sweep", "--count", 3, "--folder", folder, "--processes", 1, "--temperature", 1.0)
    done = scoregate(*words, url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 cells were measured now" in done.stdout
    return folder, partial(scoregate_here, *words, url=prefect_server.url)


@pytest.mark.slow
@pytest.mark.server
def test_a_sweep_measures_what_is_not_finished(swept):
    folder, again = swept
    first = cells_of(SweepRequest(temperature=[1.0], count=3))[0]
    rows = rows_of(path_of(folder, first))
    assert [each["seed"] for each in rows] == sorted(first.seeds)
    assert all(each["raw"] and each["measures"] for each in rows)
    done = again("--temperature", 2.5, "--lines", "raw")
    assert "1 of 2 cells were measured now" in done.stdout, done.stderr
    assert (folder / "pass-rate.svg").is_file()
    refused = again("--seed", 1, "--seed", 2, "--count", "90000")
    assert refused.returncode == 2
    assert "180,000 pieces" in refused.stderr


@pytest.mark.slow
@pytest.mark.server
def test_a_dask_cluster_draws_the_same_pieces(prefect_server, swept, tmp_path):
    words = ("sweep", "--temperature", 1.0, "--count", 3, "--processes", 1)
    done = scoregate(*words, "--folder", tmp_path, "--dask", "local", url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    (cell,) = cells_of(SweepRequest(temperature=[1.0], count=3))
    drawn, here = (rows_of(path_of(folder, cell)) for folder in (tmp_path, swept[0]))
    assert [row["raw"] for row in drawn] == [row["raw"] for row in here]


@pytest.mark.slow
def test_an_unknown_style_is_told_before_a_server_is_started(tmp_path):
    words = ("sweep", "--temperature", 1.0, "--style", "Baroque/Nobody/Choral")
    done = scoregate_here(*words, "--folder", tmp_path / "no", PREFECT_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "Nobody" in done.stderr
    assert not (tmp_path / "scoregate-server.json").exists()


def test_what_was_measured_stands_beside_a_preset(tmp_path):
    request = SweepRequest(preset=["careful"], lines="both", count=2)
    results = [(cell, [row(), row("rejected")]) for cell in cells_of(request)]
    write_results(tmp_path, results, "scoregate sweep")
    raw, judged = measured_presets(tmp_path)["careful"]
    assert (raw.judged, judged.judged) == (False, True)
    assert raw.text == "50.0 % (9.5 to 90.5), n 2"
    with pytest.raises(UnreadableError, match="no finished sweep"):
        measured_presets(tmp_path / "nowhere")
    assert set(measured_presets()) <= {preset.name for preset in presets()}
