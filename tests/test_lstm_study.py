"""The study of the LSTM's settings: design, training to two limits, measures, intervals, page."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_lstm_training import prepared_of, tunes

from scoregate.abc.reader import read
from scoregate.errors import RequestError, UnreadableError
from scoregate.lstm.notation import to_abc
from scoregate.lstm.study.effects import effects, mean, share
from scoregate.lstm.study.likeness import CopyIndex, similarity, transition_distance
from scoregate.lstm.study.page import write_page
from scoregate.lstm.study.plan import FACTORS, Arm, Plan, arms_of, load_plan
from scoregate.lstm.study.training_runs import train_arm
from scoregate.lstm.training import Run
from scoregate.tasks.lstm_pieces import (
    measure_set,
    melody_of,
    reference_of,
    reference_of_events,
)

PLAN = Plan(
    original={"length": 10, "hidden": 8, "batch": 2, "lr": 1e-2},
    changed={"length": 20, "hidden": 12, "batch": 4, "lr": 1e-3},
    updates=6,
    seconds=0.05,
    validate_every=2,
    patience=0,
    validation_pieces=2,
    seeds=1,
    pieces=3,
    temperatures=[1.0, 0.5],
    sources=["a"],
    most_events=30,
    arms=[],
    references=["real tunes (test pieces)"],
    embedding=8,
    layers=2,
    dropout=0.0,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# The design


def test_each_factor_alone_all_together_and_half_of_the_combinations():
    arms = arms_of(PLAN)
    names = [arm.name for arm in arms]
    assert names[:6] == ["original", "all", "batch", "hidden", "length", "lr"]
    assert len(names) == len(set(names)) == 12
    pairs = [arm for arm in arms if len(arm.changed) == 2]
    assert len(pairs) == 6
    for factor in FACTORS:  # balanced: each level of each factor in half of the half design
        half = [arm for arm in arms if len(arm.changed) % 2 == 0]
        assert sum(factor in arm.changed for arm in half) == len(half) / 2


def test_an_arm_changes_its_factors_and_nothing_else():
    original = Arm(()).settings(PLAN, 1, steps=5)
    changed = Arm(("hidden", "lr")).settings(PLAN, 1, steps=5)
    assert replace(original, hidden=12, lr=1e-3) == changed


def test_arms_can_be_chosen_by_name():
    some = replace(PLAN, arms=["all", "hidden"])
    assert [arm.name for arm in arms_of(some)] == ["all", "hidden"]
    with pytest.raises(RequestError, match="no arm colour"):
        arms_of(replace(PLAN, arms=["colour"]))


@pytest.mark.parametrize("name", ["quick", "small", "twice", "scaled", "full"])
def test_committed_plans_can_be_read(name):
    plan = load_plan(name)
    # The changes of the report: twice the length, twice the size, 8 times the batch, a tenth.
    changes = {factor: plan.changed[factor] / plan.original[factor] for factor in FACTORS}
    assert changes == {"length": 2, "hidden": 2, "batch": 8, "lr": pytest.approx(0.1)}
    assert 1.0 in plan.temperatures


def test_wrong_plans_are_named(tmp_path):
    (tmp_path / "p.json").write_text("{}")
    with pytest.raises(RequestError, match="not valid"):
        load_plan(str(tmp_path / "p.json"))
    with pytest.raises(UnreadableError, match="no plan"):
        load_plan("nowhere")


# Training to two limits


def test_an_arm_is_read_out_at_both_limits(tmp_path):
    found = train_arm(Arm(()), PLAN, 1, prepared_of(tunes()), tmp_path)
    assert found["updates"]["steps"] == 6
    assert found["time"]["seconds"] >= 0.05
    assert all(Path(row["weights"]).is_file() for row in found.values())
    assert all(0 < row["test_nats"] < 10 for row in found.values())


class Killed(Exception):
    """Stands for a kill."""


@pytest.mark.slow
def test_a_kill_between_the_limits_keeps_the_first_readout(tmp_path):
    plan = replace(PLAN, seconds=2.0)  # more than eight updates on any machine
    prepared = prepared_of(tunes())

    def kill_later(run: Run):
        if run.step > 8:
            raise Killed

    with pytest.raises(Killed):
        train_arm(Arm(()), plan, 1, prepared, tmp_path, kill_later)
    before = json.loads((tmp_path / "updates.json").read_text())
    found = train_arm(Arm(()), plan, 1, prepared, tmp_path)
    assert found["updates"] == before
    assert found["updates"]["steps"] == 6
    whole = train_arm(Arm(()), PLAN, 1, prepared, tmp_path / "whole")
    assert found["updates"]["test_nats"] == whole["updates"]["test_nats"]


def test_an_arm_that_diverges_is_reported(tmp_path):
    # Time for some updates on any machine: after the first one the loss is still finite.
    plan = replace(PLAN, original=PLAN.original | {"lr": 1e30}, seconds=2.0)
    found = train_arm(Arm(()), plan, 1, prepared_of(tunes()), tmp_path)
    assert [row["diverged"] for row in found.values()] == [True, True]


# Likeness


def test_the_longest_copied_run_by_hand():
    corpus = [[(2, 12), (2, 12), (-4, 24), (1, 12)], [(5, 12), (5, 12)]]
    index = CopyIndex(corpus)
    assert index.longest([(9, 9), (2, 12), (-4, 24), (1, 12), (9, 9)]) == 3
    assert index.longest([(1, 12), (5, 12)]) == 1  # not across two pieces
    assert index.longest([(7, 7)]) == 0
    assert index.longest([]) == 0


def test_the_longest_copied_run_agrees_with_a_search_of_all_substrings():
    rng = random.Random(3)
    corpus = [[(rng.randint(0, 3), 1) for _ in range(60)] for _ in range(8)]
    index = CopyIndex(corpus)
    for _ in range(20):
        melody = [(rng.randint(0, 3), 1) for _ in range(25)]
        runs = {tuple(part[i : i + n]) for part in corpus for n in range(26) for i in range(61 - n)}
        expected = max(
            n for n in range(26) for i in range(26 - n) if tuple(melody[i : i + n]) in runs
        )
        assert index.longest(melody) == expected


def test_similarity_by_hand():
    one = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]  # fragments 1234, 2345
    two = [(2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]  # fragments 2345, 3456
    assert similarity([one, two]) == pytest.approx(1 / 3)
    assert similarity([one, one]) == 1
    assert math.isnan(similarity([one]))


def test_the_distance_of_transitions_by_hand():
    a, b = np.array([[1, 0], [0, 0]]), np.array([[0, 0], [0, 1]])
    assert transition_distance(a, a) == 0
    assert transition_distance(a, b) == 1
    # H((1/4, 1/4, 1/2)) - (H(1/2, 1/2) + H(1/2, 1/2)) / 2 = 1.5 - 1
    c, d = np.array([[1, 0], [0, 1]]), np.array([[0, 1], [0, 1]])
    assert transition_distance(c, d) == pytest.approx(0.5)
    assert math.isnan(transition_distance(a * 0, b))


# Intervals


def test_wilson_interval_by_hand():
    found = share(8, 10)  # Wilson 1927; Agresti and Coull 1998 give the formula
    z = 1.959964
    centre = (0.8 + z * z / 20) / (1 + z * z / 10)
    half = z / (1 + z * z / 10) * math.sqrt(0.8 * 0.2 / 10 + z * z / 400)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.8, centre - half, centre + half), abs=1e-5
    )
    assert math.isnan(share(0, 0).value)


def test_mean_leaves_out_what_is_not_known():
    assert mean([1.0, math.nan, 3.0]).value == 2
    assert math.isnan(mean([math.nan]).value)


def test_effects_are_those_that_were_put_in():
    rng = random.Random(1)
    put_in = {"length": 0.0, "hidden": -1.0, "batch": 2.0, "lr": 0.5}
    responses = []
    for arm in arms_of(PLAN) * 3:
        value = sum(put_in[factor] for factor in arm.changed)
        if {"batch", "lr"} <= set(arm.changed):
            value += 1.0  # so the product is half of it, and each factor's effect is raised by it
        responses.append((arm.changed, value + rng.gauss(0, 0.01)))
    found = effects(responses)
    expected = put_in | {"batch": 2.5, "lr": 1.0, "batch:lr": 0.5, "length:hidden": 0.0}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=0.02), name
    assert found["hidden"].sign == -1
    assert found["batch"].sign == 1


def test_too_few_runs_have_no_effects():
    found = effects([((), 1.0), (("hidden",), 2.0)])
    assert all(math.isnan(each.value) for each in found.values())


# The measures of a set


def scores_of(count: int) -> list[str]:
    return ["%Folk\n%Nobody\n%Fiddle\n" + to_abc(piece, "Fiddle") for piece in tunes(count)]


@pytest.mark.slow
def test_melodies_of_scores_are_those_of_the_events():
    pieces = tunes(8)
    scores = [read(text) for text in scores_of(8)]
    from_events = reference_of_events(pieces)
    from_scores = reference_of(scores)
    assert (from_events.transitions == from_scores.transitions).all()
    for score in scores:
        melody = melody_of(score)
        assert from_events.copies.longest(melody) == len(melody) == 15


@pytest.mark.slow
def test_a_set_is_judged_and_measured():
    reference = reference_of_events(tunes(12))
    found = measure_set(scores_of(3), None, reference, [False, False, True])
    assert [piece["copied"] for piece in found["pieces"]] == [16.0] * 3
    assert found["pieces"][2]["passed"] is False
    assert "unfinished" in found["pieces"][2]["reasons"]
    assert 0 <= found["distance"] <= 1
    assert 0 <= found["similarity"] < 1
    assert 0 < found["pieces"][0]["key_clarity"] <= 1


# The page


def record(arm: Arm, seed: int, diverged: bool = False) -> dict:
    rng = random.Random(f"{arm.name} {seed}")
    piece = {
        name: rng.random()
        for name in ("pitch_entropy", "groove", "key_clarity", "recurrence", "copied")
    }
    pieces = [piece | {"passed": n > 0, "reasons": [] if n else ["bars"]} for n in range(3)]
    found = {"pieces": pieces, "distance": 0.1, "distance_error": 0.01, "similarity": None}
    row = {"diverged": False, "test_nats": 3 + rng.random(), "steps": 6, "seconds": 1.0}
    row |= {"sets": {"1.0": found, "0.5": found}}
    bad = {"diverged": True, "steps": 3, "seconds": 0.1}
    return {
        "arm": arm.name,
        "changed": list(arm.changed),
        "seed": seed,
        "readouts": {"updates": row, "time": bad if diverged else row},
    }


@pytest.mark.slow
def test_the_page_reports_diverged_arms_and_goes_on(tmp_path):
    records = [
        record(arm, seed, diverged=arm.name == "hidden") for seed in (1, 2) for arm in arms_of(PLAN)
    ]
    paths = write_page(
        PLAN, records, {"real": records[0]["readouts"]["time"]["sets"]["1.0"]}, tmp_path
    )
    text = paths["results"].read_text()
    assert "| hidden | 2, all diverged |" in text
    assert "| real | 3 | 0.667 [" in text
    assert "nan" not in text
    for kind in ("losses", "effects", "temperatures"):
        assert paths[kind].read_text().lstrip().startswith("<?xml")
    again = write_page(PLAN, records, {}, tmp_path / "..")
    assert again["losses"].read_bytes() == paths["losses"].read_bytes()


@pytest.mark.slow
def test_the_page_of_a_single_arm_is_written(tmp_path):
    paths = write_page(PLAN, [record(Arm(()), 1)], {}, tmp_path)
    assert "| original | 1 |" in paths["results"].read_text()


# The whole flow


@pytest.mark.slow
@pytest.mark.server
def test_a_killed_study_goes_on_and_repeats_no_arm(prefect_server, tmp_path):
    from commands import scoregate, scoregate_here
    from test_lstm_training import kept

    kept(tmp_path, tunes(40), ["a"])
    (tmp_path / "plan.json").write_text(
        json.dumps({name: getattr(PLAN, name) for name in PLAN.__dataclass_fields__})
    )
    words = ("study", "lstm", "--plan", tmp_path / "plan.json", "--folder", tmp_path)
    done = scoregate(*words, "--arms", "original", url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    first = tmp_path / "arms" / "original-seed1" / "arm.json"
    changed = first.stat().st_mtime_ns
    done = scoregate_here(*words, "--arms", "original,all", url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    assert "2 runs of arms are finished." in done.stdout
    assert first.stat().st_mtime_ns == changed
    assert (tmp_path / "arms/all-seed1/time-1.0/01.abc").read_text().startswith("X:1")
    assert "| all | 1 |" in (tmp_path / "results.md").read_text()
