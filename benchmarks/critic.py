"""Make the critic of chorales anew: learn it, check it on pieces it has not seen, write its file.

::

    python -m benchmarks.critic [--pieces 160] [--weights FILE]

Real pieces are the training side of the Bach chorales (:mod:`scoregate.notagen.training.corpus`),
the others the model's own, drawn with the line judge as ``scoregate produce`` does. The measures,
standardised by the real pieces, go into a logistic regression. Its strength of regularisation is
the one with the lowest cross-validated loss. The validation side of the
chorales, and pieces with seeds of their own, say how well it holds; the test side is not read.

Writes ``scoregate/evaluation/critics/bach_chorales.json``. Needs ``scoregate[compare]``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from benchmarks.drafts import EMBEDDED, critic_seeds, drafts, quality_seeds
from benchmarks.model_comparison import CACHE as COMPARISON
from scoregate.evaluation.critic import FARTHEST, FOLDER, FORMAT, critic_measures, read_critic
from scoregate.findings import Status
from scoregate.notagen.engine import ENGINE_VERSION
from scoregate.notagen.training.corpus import CHORALE_STYLE, bach_chorales, in_metre, split

TARGET = FOLDER / "bach_chorales.json"
STRENGTHS = (0.01, 0.03, 0.1, 0.3)
"""Inverse strengths of regularisation that are tried."""
FOLDS, SEED = 5, 1
HELD_PIECES = 6
"""Pieces whose drafts the critic is checked on; benchmarks/quality.py measures more of them."""

Rows = NDArray[np.float64]


def measured(texts: list[str]) -> list[dict[str, float]]:
    """Return the measures of the texts for which every one can be formed."""
    found = [critic_measures(text) for text in texts]
    return [row for row in found if row and all(map(math.isfinite, row.values()))]


def real_pieces() -> tuple[list[str], list[str]]:
    """Return the chorales of the training side and of the validation side."""
    corpus = bach_chorales(COMPARISON / "corpus.json")
    sides = in_metre(corpus, split(corpus.texts))
    return ([corpus.texts[n] for n in sides.train], [corpus.texts[n] for n in sides.validation])


def standardised(rows: list[dict[str, float]], mean: Rows, deviation: Rows) -> Rows:
    """Return the standardised values, a row for each piece."""
    values = np.array([list(row.values()) for row in rows])
    return np.clip((values - mean) / deviation, -FARTHEST, FARTHEST)


def learn(real: list[dict[str, float]], own: list[dict[str, float]]) -> dict[str, Any]:
    """Return intercept, features and the cross-validated figures of a critic."""
    values = np.array([list(row.values()) for row in real])
    mean, deviation = values.mean(0), values.std(0)
    names = list(real[0])
    x = np.vstack([standardised(each, mean, deviation) for each in (real, own)])
    y = np.array([1] * len(real) + [0] * len(own))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)

    def model(strength: float) -> LogisticRegression:
        return LogisticRegression(C=strength, class_weight="balanced", max_iter=5000)

    tried = {}
    for strength in STRENGTHS:
        chances = np.asarray(
            cross_val_predict(model(strength), x, y, cv=folds, method="predict_proba")
        )[:, 1]
        tried[strength] = (log_loss(y, chances), roc_auc_score(y, chances))
        print(f"C {strength}: loss {tried[strength][0]:.3f}, AUC {tried[strength][1]:.3f}")
    best = min(tried, key=lambda strength: tried[strength][0])
    fitted = model(best).fit(x, y)
    columns = zip(names, mean, deviation, fitted.coef_[0], strict=True)
    return {
        "intercept": round(float(fitted.intercept_[0]), 6),
        "features": [
            {"name": name, "mean": round(float(m), 6), "deviation": round(float(d), 6),
             "weight": round(float(w), 6)}
            for name, m, d, w in columns
        ],
        "cross_validated": {"strength": best, "loss": round(tried[best][0], 4),
                            "auc": round(float(tried[best][1]), 4)},
    }  # fmt: skip


def main(pieces: int, weights: Path) -> None:
    """Learn the critic, check it and write it."""
    train, validation = real_pieces()
    rows = drafts(critic_seeds(pieces), weights)
    passing = [row["raw"] for row in rows if row["status"] == Status.PASSED.value]
    real, own = measured(train), measured(passing)
    learned = learn(real, own)
    content = {
        "format": FORMAT,
        "name": "bach-chorales",
        "style": "/".join(CHORALE_STYLE),
        "learned": {
            "command": f"python -m benchmarks.critic --pieces {pieces}",
            "real": f"{len(real)} chorales of the training side",
            "own": f"{len(own)} pieces that passed the gates, drawn with the line judge",
            "weights": {
                "name": weights.name,
                "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            },
            "engine": ENGINE_VERSION,
            "cross_validated": learned.pop("cross_validated"),
        },
        **learned,
    }
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(content, indent=1) + "\n")
    critic = read_critic(TARGET)
    unseen = drafts(quality_seeds(HELD_PIECES), weights)
    held = {"validation": validation, "drafts with other seeds": [row["raw"] for row in unseen]}
    scores = {
        name: [score for text in texts if (score := critic.score(text)[0]) is not None]
        for name, texts in held.items()
    }
    for name, found in scores.items():
        print(
            f"{name}: {np.mean(found):+.2f} in the mean, {len(found)} of {len(held[name])} pieces"
        )
    genuine, other = scores.values()
    labels = [1] * len(genuine) + [0] * len(other)
    print(f"AUC on these: {roc_auc_score(labels, [*genuine, *other]):.3f}")
    strong = sorted(critic.features, key=lambda each: -abs(each.weight))
    print("strongest:", ", ".join(f"{each.name} {each.weight:+.2f}" for each in strong[:10]))
    print(f"Written: {TARGET} (version {critic.version})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=160, help="own pieces to learn from")
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    main(options.pieces, options.weights)
