"""How well a classifier tells two sets of pieces apart, and by what.

Logistic regression on standardised measures, cross-validated: an AUC of .5 means that the sets
cannot be told apart by these measures, 1 that they always can. Needs scikit-learn
(``pip install scoregate[compare]``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoregate.errors import RequestError
from scoregate.evaluation.table import Measured

FOLDS = 5
RESAMPLES = 1000


class Separation(NamedTuple):
    """How far two sets can be told apart.

    Attributes
    ----------
    auc : float
        Cross-validated area under the ROC curve.
    telling : list of (str, float)
        Measures by the size of their coefficient, standardised; positive ones are larger in the
        second set.
    low, high : float
        95 % bootstrap interval of the AUC: see :func:`auc_interval`.
    """

    auc: float
    telling: list[tuple[str, float]]
    low: float = math.nan
    high: float = math.nan


def features(measured: Sequence[Measured], groups: Sequence[str]) -> list[dict[str, float]]:
    """Return the measures of the named groups of each piece, as ``group: measure`` to figure.

    Parameters
    ----------
    measured : sequence
        What :func:`~scoregate.evaluation.table.measure_piece` gave.
    groups : sequence of str
        Of :data:`~scoregate.evaluation.table.GROUPS`.
    """
    return [{f"{g}: {k}": v for g in groups for k, v in piece[g].items()} for piece in measured]


def separation(
    one: Sequence[dict[str, float]], other: Sequence[dict[str, float]], seed: int = 1
) -> Separation:
    """Tell two sets apart by their features.

    Parameters
    ----------
    one, other : sequence of dict
        From :func:`features`; a figure that is NaN or missing takes the median of all pieces.
    seed : int
        Seed of the folds.

    Raises
    ------
    RequestError
        scikit-learn is missing, or a set has fewer pieces than there are folds.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise RequestError(
            "Telling sets of pieces apart needs scikit-learn.", "pip install scoregate[compare]"
        ) from error
    if min(len(one), len(other)) < FOLDS:
        raise RequestError(
            f"Sets of {len(one)} and {len(other)} pieces are too small to tell apart.",
            f"Give {FOLDS} pieces or more of each.",
        )
    names = sorted({name for row in (*one, *other) for name in row})
    values = np.array([[row.get(n, math.nan) for n in names] for row in (*one, *other)])
    known = np.atleast_1d(~np.isnan(values).all(axis=0))
    values, names = values[:, known], [n for n, k in zip(names, known, strict=True) if k]
    values = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
    labels = np.array([0] * len(one) + [1] * len(other))
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000)
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    chances = np.asarray(
        cross_val_predict(model, values, labels, cv=folds, method="predict_proba")
    )[:, 1]
    model.fit(values, labels)
    weights = model.named_steps["logisticregression"].coef_[0]
    order = np.argsort(-np.abs(weights))
    low, high = auc_interval(chances[labels == 0], chances[labels == 1], seed)
    return Separation(
        float(roc_auc_score(labels, chances)),
        [(names[i], float(weights[i])) for i in order],
        low,
        high,
    )


def auc_interval(
    one: NDArray[np.float64], other: NDArray[np.float64], seed: int = 1, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of an AUC, the pieces of each set resampled.

    The classifiers of the folds are not trained again, so the interval holds for these
    classifiers: what another training set would change is not in it.

    Parameters
    ----------
    one, other : ndarray of float, shape (pieces,)
        What the classifier gave the pieces of either set, each by a fold without them.
    seed, resamples : int
    """
    rng = np.random.default_rng(seed)
    right = (other > one[:, None]) + 0.5 * (other == one[:, None])
    first = rng.multinomial(len(one), np.full(len(one), 1 / len(one)), resamples) / len(one)
    second = rng.multinomial(len(other), np.full(len(other), 1 / len(other)), resamples)
    found = ((first @ right) * (second / len(other))).sum(1)
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
