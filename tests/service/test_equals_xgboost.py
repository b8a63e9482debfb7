"""
``/predict`` equals ``Booster.predict`` to the last bit, whatever the model and the rows.

Both are made up at random here; `tests.equality` asks XGBoost, sharing no code with the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.boosters import INPUTS, make_table, make_target, train_booster
from tests.equality import Categories, Row, assert_same_bits, make_labels, serve_booster, to_table
from tests.services import Service

OBJECTIVES: dict[str, dict[str, Any]] = {
    "binary:logistic": {},
    "reg:squarederror": {},
    "count:poisson": {},
    "multi:softprob": {"num_class": 3},
    "multi:softmax": {"num_class": 3},
}


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
