"""
``/predict`` equals ``Booster.predict`` to the last bit, whatever the model and the rows.

What XGBoost is asked is built here from the raw values with pandas and the full list of
categories, and shares no code with the service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.boosters import INPUTS, make_model, make_table, make_target, train_booster
from tests.services import FakeRegistry, Service, run_service

Row = dict[str, Any]
Categories = Sequence[str] | Sequence[int]

OBJECTIVES: dict[str, dict[str, Any]] = {
    "binary:logistic": {},
    "reg:squarederror": {},
    "count:poisson": {},
    "multi:softprob": {"num_class": 3},
    "multi:softmax": {"num_class": 3},
}
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


def to_table(rows: Sequence[Row], categories: Categories) -> pd.DataFrame:
    """Rows as XGBoost reads them: raw values, the model's own list of categories, NaN for what is missing."""
    columns = {name: [row.get(name) for row in rows] for name in ("carrier", "hour", "temp", "wind")}
    numbers = {name: np.array(columns[name], dtype=np.float64) for name in ("hour", "temp", "wind")}
    return pd.DataFrame({"carrier": pd.Categorical(columns["carrier"], categories=list(categories)), **numbers})


def assert_same_bits(answered: Sequence[Any], expected: npt.NDArray[np.float32]) -> None:
    """Equal as float32, bit by bit: -0.0 is not 0.0."""
    assert expected.dtype == np.float32
    got = np.asarray(answered, dtype=np.float64).astype(np.float32)
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))


def make_labels(table: pd.DataFrame, objective: str) -> npt.NDArray[Any]:
    """A target that the objective accepts."""
    yes = make_target(table)
    if objective.startswith("multi:"):
        return np.asarray(yes + (table["hour"] % 2).to_numpy())
    return np.asarray(yes + 1) if objective in ("reg:gamma", "survival:cox") else yes


@contextmanager
def serve_booster(booster: xgboost.Booster, table: pd.DataFrame, **fields: Any) -> Iterator[Service]:
    """Serve a booster from a folder as MLflow would have written it."""
    with TemporaryDirectory() as place:
        model = make_model(booster=booster, table=table, **{"card": None, "with_golden": False, **fields})
        with run_service(FakeRegistry(model.write(Path(place, "model"))), Path(place, "log")) as service:
            yield service


@dataclass(frozen=True)
class Model:
    """A random small model, and how its folder describes it."""

    objective: str
    booster: str
    categories: tuple[str, ...] | tuple[int, ...]
    parameters: Mapping[str, Any]
    has_signature: bool
    has_card: bool
    file_name: str
    seed: int

    def train(self) -> tuple[xgboost.Booster, pd.DataFrame]:
        """The booster, and the table that it was trained on."""
        table = make_table(n_rows=150, seed=self.seed, carriers=self.categories)
        given = {
            "objective": self.objective,
            "booster": self.booster,
            **OBJECTIVES[self.objective],
            **({"rate_drop": 0.3, "seed": self.seed} if self.booster == "dart" else {}),
            **self.parameters,
        }
        return train_booster(table, make_labels(table, self.objective), given, rounds=6), table

    @property
    def inputs(self) -> list[dict[str, Any]] | None:
        """MLflow's signature, if it has one."""
        kind = "long" if isinstance(self.categories[0], int) else "string"
        return [{**INPUTS[0], "type": kind}, *INPUTS[1:]] if self.has_signature else None


TEXTS = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=6)
MODELS = st.builds(
    Model,
    objective=st.sampled_from(list(OBJECTIVES)),
    booster=st.sampled_from(["gbtree", "dart"]),
    categories=st.one_of(
        st.lists(TEXTS, min_size=1, max_size=9, unique=True).map(tuple),
        st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=9, unique=True).map(tuple),
    ),
    parameters=st.fixed_dictionaries(
        {"max_depth": st.integers(1, 5), "max_cat_to_onehot": st.sampled_from([1, 100])},
        optional={"num_parallel_tree": st.just(3), "base_score": st.just(0.25)},
    ),
    has_signature=st.booleans(),
    has_card=st.booleans(),
    file_name=st.sampled_from(["model.ubj", "model.json"]),
    seed=st.integers(0, 2**16),
)
FLOAT32_MAX = float(np.finfo(np.float32).max)
LARGEST_EXACT = 2**53  # beyond, pandas itself would round an integer beside a missing value


def rows_near(booster: xgboost.Booster, categories: Categories) -> st.SearchStrategy[list[Row]]:
    """Rows whose numbers are often a split's threshold, or its neighbour above or below."""
    splits = booster.trees_to_dataframe()
    thresholds = splits["Split"].dropna().to_numpy(np.float32)
    edges = [
        float(edge)
        for threshold in np.unique(thresholds)
        for kind in (np.float32, np.float64)
        for edge in (
            threshold,
            np.nextafter(kind(threshold), kind(-np.inf)),
            np.nextafter(kind(threshold), kind(np.inf)),
        )
    ]
    numbers = st.one_of(
        st.none(),
        st.floats(-FLOAT32_MAX, FLOAT32_MAX),
        st.floats(-10, 100),
        st.integers(-100, 100),
        *([st.sampled_from(edges)] if edges else []),
    )
    required = {"carrier": st.sampled_from([None, *categories])}
    hours = st.one_of(st.none(), st.integers(0, 23), st.integers(-LARGEST_EXACT, LARGEST_EXACT))
    return st.lists(
        st.fixed_dictionaries({**required, "hour": hours}, optional={"temp": numbers, "wind": numbers}),
        min_size=1,
        max_size=30,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), MODELS)
def test_any_small_model_answers_any_rows_as_xgboost_does(data: st.DataObject, model: Model) -> None:
    """Objectives, boosters, categories of names or numbers, missing values, splits' very edges: the same bits."""
    booster, table = model.train()
    rows = data.draw(rows_near(booster, model.categories))
    expected = booster.predict(xgboost.DMatrix(to_table(rows, model.categories), enable_categorical=True))
    card = {"categories": {"carrier": list(model.categories)}} if model.has_card else None
    with serve_booster(booster, table, inputs=model.inputs, card=card, booster_name=model.file_name) as service:
        together = service.predict(*rows)
        alone = [service.predict(row)[0] for row in rows[:3]]
    assert_same_bits(together, expected)
    assert_same_bits(alone, expected[:3])


@pytest.fixture(scope="module")
def wide() -> Iterator[tuple[xgboost.Booster, list[str], Service]]:
    """One model with forty categories and deep trees."""
    carriers = [f"C{number}" for number in range(40)]
    table = make_table(n_rows=3_000, seed=5, carriers=carriers)
    booster = train_booster(table, make_target(table), {"max_depth": 8}, rounds=40)
    with serve_booster(booster, table, inputs=INPUTS) as service:
        yield booster, carriers, service


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_large_model_answers_any_rows_as_xgboost_does(
    wide: tuple[xgboost.Booster, list[str], Service], data: st.DataObject
) -> None:
    """Hundreds of splits, and rows that lie on them."""
    booster, carriers, service = wide
    rows = data.draw(rows_near(booster, carriers))
    expected = booster.predict(xgboost.DMatrix(to_table(rows, carriers), enable_categorical=True))
    assert_same_bits(service.predict(*rows), expected)


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
    data = xgboost.DMatrix(to_table(rows, ["AA", "DL", "UA"]), enable_categorical=True)
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


def fit_early_stopped(name: str, booster: str) -> tuple[Any, pd.DataFrame]:
    """A wrapper whose last rounds made it worse."""
    kinds: dict[str, type[Any]] = {"XGBClassifier": xgboost.XGBClassifier, "XGBRegressor": xgboost.XGBRegressor}
    table, other = make_table(200, seed=1), make_table(200, seed=2)
    noise = np.random.default_rng(0).integers(0, 2, (2, 200))
    wrapper = kinds[name](
        n_estimators=40, max_depth=6, early_stopping_rounds=5, booster=booster, enable_categorical=True, n_jobs=1
    )
    labels = [
        make_target(rows) ^ (noise[index] & (np.arange(200) % 3 == 0)) for index, rows in enumerate((table, other))
    ]
    return wrapper.fit(table, labels[0], eval_set=[(other, labels[1])], verbose=False), other
