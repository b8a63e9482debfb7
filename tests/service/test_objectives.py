"""``/predict`` equals ``Booster.predict`` for each kind of booster and objective, and for wrappers of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xgboost

from tests.boosters import CARRIERS, INPUTS, make_table, train_booster
from tests.equality import Row, assert_same_bits, fit_early_stopped, make_labels, serve_booster, to_table

MORE_OBJECTIVES: dict[str, dict[str, Any]] = {
    "binary:logitraw": {},
    "binary:hinge": {},
    "reg:absoluteerror": {},
    "reg:gamma": {},
    "reg:logistic": {},
    "reg:pseudohubererror": {},
    "reg:quantileerror": {"quantile_alpha": [0.1, 0.5, 0.9]},
    "reg:tweedie": {},
    "rank:pairwise": {},
    "survival:cox": {},
}


def random_rows(n_rows: int, seed: int) -> list[Row]:
    """Rows of the usual model, with missing values in all features."""
    table = make_table(n_rows, seed)
    table.loc[::7, "carrier"] = None
    rows: list[Row] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


@pytest.mark.parametrize("objective", MORE_OBJECTIVES)
def test_other_objectives_answer_as_xgboost_does(objective: str) -> None:
    """The output transform is XGBoost's own, whatever the objective."""
    table = make_table()
    given = {"objective": objective, **MORE_OBJECTIVES[objective]}
    booster = train_booster(table, make_labels(table, objective), given)
    rows = random_rows(50, seed=9)
    with serve_booster(booster, table, inputs=INPUTS) as service:
        answered = service.predict(*rows)
    data = xgboost.DMatrix(to_table(rows, CARRIERS), enable_categorical=True)
    assert_same_bits(answered, booster.predict(data))


@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
def test_several_targets_answer_as_xgboost_does(strategy: str) -> None:
    """One prediction an instance can be a list of values, from one tree or from several."""
    table = make_table().drop(columns="carrier")
    targets = np.column_stack([table["hour"], table["hour"] ** 2, -table["hour"]])
    booster = train_booster(table, targets, {"objective": "reg:squarederror", "multi_strategy": strategy})
    rows = random_rows(50, seed=9)
    for row in rows:
        del row["carrier"]
    with serve_booster(booster, table, inputs=None) as service:
        answered = service.predict(*rows)
    expected = booster.predict(xgboost.DMatrix(to_table(rows, []).drop(columns="carrier")))
    assert expected.shape == (50, 3)
    assert_same_bits(answered, expected)


def test_a_linear_booster_answers_as_xgboost_does() -> None:
    """A booster of kind gblinear has no trees, and XGBoost cannot predict it in place."""
    table = make_table().drop(columns="carrier").fillna(0.0)
    given = {"objective": "reg:squarederror", "booster": "gblinear", "updater": "coord_descent", "nthread": 1}
    booster = xgboost.train(given, xgboost.DMatrix(table, table["hour"] * 2.5), 4)
    rows = json.loads(table.head(50).to_json(orient="records", double_precision=15))
    with serve_booster(booster, table, inputs=None) as service:
        answered = service.predict(*rows)
    assert_same_bits(answered, booster.predict(xgboost.DMatrix(table.head(50))))


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
@pytest.mark.parametrize("name", ["XGBClassifier", "XGBRegressor"])
def test_an_early_stopped_wrapper_answers_with_its_best_iteration(name: str, booster: str) -> None:
    """A scikit-learn wrapper forgets the rounds after the best one, and so does the service."""
    wrapper, table = fit_early_stopped(name, booster)
    assert wrapper.best_iteration + 1 < wrapper.get_booster().num_boosted_rounds()
    data = xgboost.DMatrix(table, enable_categorical=True)
    all_rounds = wrapper.get_booster().predict(data)
    best = wrapper.get_booster().predict(data, iteration_range=(0, wrapper.best_iteration + 1))
    assert not np.allclose(all_rounds, best, atol=0.01)
    itself = wrapper.predict_proba(table)[:, 1] if name == "XGBClassifier" else wrapper.predict(table)
    # The wrapper predicts in place, where XGBoost adds up dart's trees in another order.
    np.testing.assert_allclose(itself, best, rtol=0 if booster == "gbtree" else 1e-6)
    rows = json.loads(table.to_json(orient="records", double_precision=15))

    fields = {"inputs": INPUTS, "model_class": f"xgboost.sklearn.{name}"}
    with serve_booster(wrapper.get_booster(), table, **fields) as service:
        assert_same_bits(service.predict(*rows), best)
    with serve_booster(wrapper.get_booster(), table, inputs=INPUTS) as service:
        assert_same_bits(service.predict(*rows), all_rounds)
