"""Boosters of every kind that the kernel covers, small and trained in a blink."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import xgboost

from app.forest import _kernel
from app.forest.document import read_learner
from app.forest.kernel_forest import FloatMatrix

OBJECTIVES: dict[str, dict[str, Any]] = {
    "binary:hinge": {},
    "binary:logistic": {},
    "binary:logitraw": {},
    "count:poisson": {},
    "multi:softmax": {"num_class": 3},
    "multi:softprob": {"num_class": 3},
    "rank:map": {},
    "rank:ndcg": {},
    "rank:pairwise": {},
    "reg:absoluteerror": {},
    "reg:gamma": {},
    "reg:logistic": {},
    "reg:pseudohubererror": {},
    "reg:quantileerror": {"quantile_alpha": [0.1, 0.5, 0.9]},
    "reg:squarederror": {},
    "reg:squaredlogerror": {},
    "reg:tweedie": {},
    "survival:aft": {},
    "survival:cox": {},
}
KINDS: dict[str, dict[str, Any]] = {
    "by depth": {"max_depth": 7},
    "by loss": {"grow_policy": "lossguide", "max_leaves": 20, "max_depth": 0},
    "deep": {"max_depth": 40, "min_child_weight": 0},
    "stumps": {"max_depth": 1},
    "dart": {"booster": "dart", "rate_drop": 0.3},
    "parallel trees": {"num_parallel_tree": 3, "subsample": 0.5},
    "one category against the rest": {"max_cat_to_onehot": 100},
    "approximate": {"tree_method": "approx"},
}


def raw_document(booster: xgboost.Booster) -> bytes:
    """The booster's document."""
    return bytes(booster.save_raw("ubj"))


def learner_of(booster: xgboost.Booster) -> dict[str, Any]:
    """What the kernel is made from."""
    return read_learner(raw_document(booster))


def make_rows(n_rows: int = 700, seed: int = 0) -> FloatMatrix:
    """A category of 40 codes and four numbers, a tenth of all missing."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, 5)).astype(np.float32)
    rows[:, 0] = rng.integers(0, 40, n_rows)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def train(parameters: Mapping[str, Any], n_rounds: int = 36) -> tuple[xgboost.Booster, FloatMatrix]:
    """A booster of the objective on rows of ours, and the rows."""
    return _train(tuple((name, str(value)) for name, value in parameters.items()), n_rounds)


@cache
def _train(parameters: tuple[tuple[str, str], ...], n_rounds: int) -> tuple[xgboost.Booster, FloatMatrix]:
    rows = make_rows()
    rng = np.random.default_rng(1)
    signal = np.nan_to_num(rows[:, 1]) + np.sin(np.nan_to_num(rows[:, 0])) + rng.normal(size=len(rows)) * 0.3
    objective = dict(parameters)["objective"]
    target: np.ndarray[Any, Any] = signal > 0
    if objective.startswith("multi:"):
        target = target.astype(int) + (signal > 1)
    elif objective in ("reg:gamma", "reg:tweedie", "reg:squarederror", "count:poisson", "survival:aft"):
        target = np.abs(signal) + 0.5
    data = xgboost.DMatrix(rows, target, feature_types=list("cqqqq"), enable_categorical=True)
    if objective.startswith("rank:"):
        data.set_group([35] * 20)
    if objective == "survival:aft":
        data.set_float_info("label_lower_bound", target)
        data.set_float_info("label_upper_bound", target + 1)
    return xgboost.train({"max_depth": 5, "nthread": 1, **dict(parameters)}, data, n_rounds), rows


def with_invalid_codes(rows: FloatMatrix) -> FloatMatrix:
    """The rows with codes that are none, up to those that a careless cast would make an address of."""
    wrong = np.array([-1, -0.5, 40, 63, 64, 65, 1e6, 2.0**31, -(2.0**31), 1e30, -1e30, 0.5, 7.9])
    return np.column_stack([np.resize(wrong.astype(np.float32), len(rows)), rows[:, 1:]])


WALKS = _kernel.walks
