"""
Which evaluator answers for a model version: the kernel where it covers the model and agrees with XGBoost, else XGBoost.

They are compared to the last bit, on the golden rows and on rows at the forest's own thresholds. Whatever the reason
for a difference, a bug of ours or another version of XGBoost, the model version serves, with XGBoost's answers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from app.artifacts import MAX_GOLDEN_INSTANCES
from app.forest.boundary_rows import draw_boundary_rows
from app.forest.document import read_learner
from app.forest.kernel_forest import FloatMatrix, KernelForest
from app.forest.learner import find_trees
from app.forest.packing import NotCovered
from app.predictor import Evaluator, Predictor

if TYPE_CHECKING:
    from app.forest.xgboost_forest import XGBoostForest

_N_BOUNDARY_ROWS = 2_000
_N_SINGLE_ROWS = 100  # a row by itself is walked in another way than many


def choose_evaluator(predictor: Predictor) -> Predictor:
    """
    The predictor with the evaluator that shall answer for it.

    Parameters
    ----------
    predictor : Predictor
        As `Predictor.load` makes it, with XGBoost as its evaluator.

    Raises
    ------
    ModelUnfit
        If the trees are damaged.
    """
    reference = _xgboost(predictor)
    learner = read_learner(reference.raw())
    try:
        kernel = KernelForest.of_learner(learner, n_rounds=reference.n_rounds)
    except NotCovered as error:
        return replace(predictor, evaluator=Evaluator("xgboost", str(error)))
    n_features = predictor.signature.n_features
    rows = np.vstack([draw_boundary_rows(find_trees(learner), n_features, _N_BOUNDARY_ROWS), _golden_rows(predictor)])
    if (n_wrong := _count_differences(kernel, reference, rows)) > 0:
        reason = f"the kernel ({kernel.walk}) differs from XGBoost on {n_wrong} of {len(rows)} rows"
        return replace(predictor, evaluator=Evaluator("xgboost", reason, has_disagreed=True))
    return replace(predictor, forest=kernel, evaluator=Evaluator.of(kernel))


def _xgboost(predictor: Predictor) -> XGBoostForest:
    from app.forest.xgboost_forest import XGBoostForest

    assert isinstance(predictor.forest, XGBoostForest)
    return predictor.forest


def _golden_rows(predictor: Predictor) -> FloatMatrix:
    if predictor.golden is None:
        return np.empty((0, predictor.signature.n_features), dtype=np.float32)
    body = json.dumps({"instances": predictor.golden.instances}).encode()
    return predictor.decoder.decode(body, max_instances=MAX_GOLDEN_INSTANCES, unknown_is_missing=True).matrix


def _count_differences(kernel: KernelForest, reference: XGBoostForest, rows: FloatMatrix) -> int:
    """Rows to which the two do not give the same bits."""
    is_same = np.ones(len(rows), dtype=bool)
    for one, other in ((kernel.margins, reference.margins), (kernel.predictions, reference.predictions)):
        expected = other(rows)
        singles = rows[-_N_SINGLE_ROWS:]
        for answered, first in ((one(rows), 0), (np.concatenate([one(row[None]) for row in singles]), -len(singles))):
            if answered.shape[1:] != expected.shape[1:]:
                return len(rows)
            same = (answered == expected[first:]) | (np.isnan(answered) & np.isnan(expected[first:]))
            is_same[first:] &= same.reshape(len(same), -1).all(axis=1)
    return int(np.sum(~is_same))
