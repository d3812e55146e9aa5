"""Rewards, batches in processes and threads, and the page that documents them."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from scoregate.errors import RequestError
from scoregate.findings import Status
from scoregate.validators import Judge, examine, judge_texts, reward, rewards

ROOT = Path(__file__).resolve().parent.parent
PIECES = sorted((Path(__file__).parent / "pieces").glob("*.abc"))
CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()


def tune(*bars: str) -> str:
    return "X:1\nM:4/4\nL:1/4\nQ:1/4=90\nK:C\n" + "|".join(bars) + "|]\n"


GOOD = ("CEGc", "G2E2", "FAcA", "GFED", "EGcG", "AFDF", "GBdB", "c4")


def test_the_examples_of_the_page_and_of_the_module_hold():
    assert doctest.testfile(str(ROOT / "docs" / "embedding.md"), module_relative=False).failed == 0
    assert doctest.testmod(rewards).failed == 0


def test_rewards_are_ordered_by_severity():
    too_long = tune("CEGc", "G2E4", *GOOD[2:])
    warned = tune(*GOOD).replace("Q:1/4=90\n", "")
    values = reward([tune(*GOOD), warned, too_long, "", b"\x00\xff", "Once upon a time"])
    assert values.dtype == np.float64
    assert values[0] == 1
    assert values[0] > values[1] > 0.7 > 0.55 >= values[2] > 0.05
    assert values[3:].tolist() == [0, 0, 0]


def test_the_reward_never_grows_with_the_number_of_faults():
    bars = list(GOOD)
    values = []
    for index in range(1, 7):
        values.append(reward([tune(*bars)])[0])
        bars[index] = bars[index] + "2G"  # longer than the metre
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 4


def test_what_could_not_be_judged_is_worth_less_than_what_is_rejected(monkeypatch):
    from scoregate.validators.gates import harmony

    def fall_over(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(harmony, "last_sound", fall_over)
    (judgement,) = judge_texts([tune(*GOOD)])
    assert judgement.status is Status.NOT_JUDGED
    assert 0 < judgement.reward < 0.05


@pytest.mark.parametrize("profile", [None, "notagen", "strict"])
def test_a_reward_is_that_of_the_whole_judgement(profile):
    # reward leaves out what no reward depends on: places, and numbers below every bound.
    rng = np.random.default_rng(3)
    names = list("CDEFGABcdefgab")
    lines = ["|".join("".join(rng.choice(names, 4)) for _ in range(30)) for _ in range(3)]
    voices = "".join(f"V:{number}\n{line}|]\n" for number, line in enumerate(lines, 1))
    at_random = tune().removesuffix("|]\n") + voices
    texts = [path.read_text() for path in PIECES]
    texts += [CHORALE.replace("2", "3", 5), tune(*GOOD * 4), at_random, "no music"]
    whole = judge_texts(texts, profile=profile, abc2midi=False)
    assert reward(texts, profile=profile).tolist() == [each.reward for each in whole]
    assert any(f.code == "harmony.chance" for each in whole for f in each.findings)


def test_judgements_are_those_of_examine():
    for path, judgement in zip(
        PIECES, judge_texts([it.read_bytes() for it in PIECES]), strict=True
    ):
        seen = examine(path.read_bytes())
        assert judgement.status is seen.verdict().status
        assert judgement.findings == seen.findings
        assert judgement.profile == seen.profile.name
        same = {
            name: value
            for name, value in seen.measures.items()
            if not math.isnan(value) and value != judgement.measures[name]
        }
        assert not same


def test_abc2midi_runs_only_where_it_is_asked_for(monkeypatch):
    from scoregate.validators import abc2midi

    asked = []
    monkeypatch.setattr(abc2midi, "run", lambda text: asked.append(text) or abc2midi.Run("", b""))
    for profile in ("notagen", "folk", None):
        reward([CHORALE], profile=profile)
    assert asked == []
    reward([CHORALE], abc2midi=True)
    assert len(asked) == 1


def test_the_profile_decides():
    tied = tune("CEGc", "G2E2-", "F4", *GOOD[3:])  # a tie between different pitches
    strict, folk = (reward([tied], profile=name)[0] for name in ("notagen", "folk"))
    assert strict < 0.56 < 0.7 < folk
    assert judge_texts([tied], profile=None)[0].profile == "folk"
    with pytest.raises(RequestError, match="no profile"):
        reward([tied], profile="fokl")


def test_gates_may_be_left_out():
    looping = tune(*["CEGc"] * 24)
    every, few = reward([looping])[0], reward([looping], gates=("syntax", "bars"))[0]
    assert every < few == 1
    with pytest.raises(RequestError, match="no gate"):
        reward([looping], gates=("bras",))


def test_threads_give_the_same_as_one():
    texts = [path.read_text() for path in PIECES] * 4
    alone = reward(texts)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda text: reward([text])[0], texts))
    assert together == alone.tolist()


FORKED = """
import multiprocessing, sys
from scoregate.validators import reward

def in_child(queue, text):
    queue.put(reward([text]).tolist())

text = sys.stdin.read()
first = reward([text]).tolist()
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
child = context.Process(target=in_child, args=(queue, text))
child.start()
assert queue.get() == first, first
child.join(30)
sys.exit(child.exitcode)
"""


@pytest.mark.slow
def test_it_works_after_a_fork():
    """In a process of its own: what other tests have started there must not be forked with it."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED], input=CHORALE, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_judge_gives_in_order_what_the_functions_give():
    texts = [path.read_text() for path in PIECES] * 8 + ["", tune("CEGc", "G2E4", "c4")]
    with Judge(workers=2) as judge:
        assert judge.reward(texts).tolist() == reward(texts).tolist()
        judged = list(judge.judge(texts))
        assert [each.reward for each in judged] == reward(texts).tolist()
        assert judge.reward([]).shape == (0,)


@pytest.mark.slow
def test_a_stranger_embeds_it_in_ten_lines(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "from scoregate.validators import Judge\n"
        "if __name__ == '__main__':\n"
        "    with Judge(workers=2) as judge:\n"
        "        def score_reward(completions, **_):\n"
        "            return judge.reward(completions).tolist()\n"
        "        print(score_reward(['X:1', 'no music']))\n"
    )
    said = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert said.stdout == "[0.0, 0.0]\n"
