"""Evaluators of a forest: whoever answers wrongly is told, and not timed."""

from __future__ import annotations

import numpy as np
import xgboost

from benchmarks.evaluators import EVALUATORS, KERNEL, XGBOOST, Evaluate, LeftOut
from benchmarks.forest_time import Effort, ForestTime, measure_forests

EFFORT = Effort(n_trees=(2, 3), n_rows=(1, 50), n_turns=2, seconds=0.001)
OWN = {name: EVALUATORS[name] for name in (KERNEL, XGBOOST)}


def make_nearly_right(booster: xgboost.Booster) -> Evaluate:
    """A ten-thousandth too much, as a forest in another precision would be."""
    evaluate = EVALUATORS[KERNEL](booster)
    return lambda rows: evaluate(rows) + 1e-4


def make_nan(booster: xgboost.Booster) -> Evaluate:
    return lambda rows: np.full(len(rows), np.nan)


def make_nothing(booster: xgboost.Booster) -> Evaluate:
    raise LeftOut("too many trees\nand a second line")


def test_each_evaluator_is_timed_with_each_forest_and_number_of_rows() -> None:
    """And XGBoost is as quick as itself."""
    found = measure_forests(EFFORT, OWN)
    assert {(f.n_trees, f.n_rows, f.evaluator) for f in found} == {
        (n_trees, n_rows, name) for n_trees in (2, 3) for n_rows in (1, 50) for name in OWN
    }
    assert all(f.us_per_row is not None and f.us_per_row > 0 and not f.why_not for f in found)
    assert {f.times_xgboost for f in found if f.evaluator == XGBOOST} == {1.0}
    assert all(f.times_xgboost is not None and f.times_xgboost > 1 for f in found if f.evaluator == KERNEL)


def test_wrong_answers_and_refusals_are_told_and_not_timed() -> None:
    """The others are timed all the same."""
    makers = {**OWN, "near": make_nearly_right, "nan": make_nan, "none": make_nothing}
    found = {f.evaluator: f for f in measure_forests(Effort((2,), (1,), 1, 0.001), makers)}
    assert found["near"] == ForestTime(2, 1, "near", why_not="wrong by 0.0001")
    assert found["nan"] == ForestTime(2, 1, "nan", why_not="wrong by nan")
    assert found["none"] == ForestTime(2, 1, "none", why_not="too many trees")
    assert found[KERNEL].us_per_row
