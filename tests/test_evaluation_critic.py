"""The learned critic: its file, what it can't score, and what it prefers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from scoregate.errors import UnreadableError
from scoregate.evaluation import critic_measures, critic_of, measure_piece
from scoregate.evaluation.critic import FOLDER, Critic, Feature, read_critic

CHORAL = "Baroque/Bach, Johann Sebastian/Choral"
CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()
TWO_VOICES = "L:1/8\nM:4/4\nK:C\nV:1\nV:2\n[V:1]c2d2e2c2|][V:2]C2G,2C4|]\n"


def made(**weights: float) -> Critic:
    features = tuple(Feature(name.replace("_", " "), 1, 2, w) for name, w in weights.items())
    return Critic("made", "1", "a/b/c", 0.5, features, {})


def test_the_score_is_the_sum_of_the_standardised_measures():
    critic = made(suspensions=3.0, phrases_that_return=-1.0)
    score, why = critic.score_of({"suspensions": 2.0, "phrases that return": 3.0})
    assert (score, why) == (0.5 + 3 * 0.5 - 1 * 1.0, "")


def test_an_outlier_counts_no_more_than_four_deviations():
    assert made(suspensions=1.0).score_of({"suspensions": 1000.0})[0] == 0.5 + 4


def test_a_measure_that_cannot_be_formed_is_named_and_not_guessed():
    critic = made(suspensions=1.0, phrases_that_return=1.0)
    score, why = critic.score_of({"suspensions": 1.0, "phrases that return": math.nan})
    assert (score, why) == (None, "can't be formed: phrases that return")
    assert critic.score_of({"suspensions": 1.0})[0] is None


def test_a_piece_of_other_voices_has_no_score():
    critic = critic_of(CHORAL)
    assert critic is not None
    assert critic.score(TWO_VOICES) == (None, "it has not 4 voices with notes")
    assert critic.score("no music at all") == (None, "it has not 4 voices with notes")


def test_the_critic_of_the_package_scores_a_chorale():
    critic = critic_of(CHORAL)
    assert critic is not None
    score, why = critic.score(CHORALE)
    assert score is not None, why
    assert math.isfinite(score)
    assert len(critic.version) == 12
    assert set(critic.learned) >= {"command", "real", "own", "weights", "cross_validated"}


def test_its_measures_are_those_of_the_table():
    table = {k: v for group in measure_piece(CHORALE).values() for k, v in group.items()}
    found = critic_measures(CHORALE)
    assert found
    assert {name: table[name] for name in found} == found


def test_a_style_that_no_critic_knows_has_none():
    assert critic_of("Traditional/Irish/Fiddle") is None


def test_other_numbers_are_another_version(tmp_path):
    stored = json.loads((FOLDER / "bach_chorales.json").read_text())
    stored["intercept"] += 1
    path = tmp_path / "critic.json"
    path.write_text(json.dumps(stored))
    changed, known = read_critic(path), critic_of(CHORAL)
    assert known is not None
    assert changed.version != known.version
    assert changed.score(CHORALE)[0] == pytest.approx((known.score(CHORALE)[0] or 0) + 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "has the format 2"),
        ({"features": [{"name": "x"}]}, "is no critic"),
        ({"intercept": float("nan")}, "not finite"),
        ({"features": [{"name": "x", "mean": 0, "deviation": 0, "weight": 1}]}, "not above 0"),
    ],
)
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path, change, said):
    stored = json.loads((FOLDER / "bach_chorales.json").read_text()) | change
    path = tmp_path / "critic.json"
    path.write_text(json.dumps(stored))
    with pytest.raises(UnreadableError, match=said) as caught:
        read_critic(path)
    assert "python -m benchmarks.critic" in caught.value.remedy
