"""A booster's own document says which features it has; real boosters of every kind are read."""

from __future__ import annotations

from struct import pack
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from app.errors import ModelUnfit
from app.forest.document import BoosterDocument, read_booster
from app.signature import BoosterFeature
from tests.boosters import make_table, make_target, train_booster

# Every one of them may be a column of somebody's table.
NAMES = ["class", "model_config", "a/b", "a~b", "Größe", "", "feature_1", "a b"]


def read(booster: xgboost.Booster) -> BoosterDocument:
    """Read what XGBoost itself writes."""
    return read_booster(bytes(booster.save_raw("ubj")))[0]


def train_numbers(names: list[str] | None, **parameters: Any) -> xgboost.Booster:
    """A booster of numbers."""
    matrix = np.random.default_rng(0).normal(size=(60, 8))
    data = xgboost.DMatrix(matrix, matrix.sum(axis=1) > 0, feature_names=names)
    return xgboost.train({"objective": "binary:logistic", "nthread": 1} | parameters, data, 3)


def test_features_are_named_in_the_order_of_the_matrix() -> None:
    """Whatever a column is called, it keeps its place and its name."""
    document = read(train_numbers(NAMES))
    assert [feature.name for feature in document.features] == NAMES
    assert not any(feature.is_category for feature in document.features)


def test_a_booster_without_names_has_those_of_xgboosts_reports() -> None:
    """A bare array was trained on; `f0`, `f1`, … are what XGBoost calls its columns."""
    assert [feature.name for feature in read(train_numbers(None)).features] == [f"f{i}" for i in range(8)]


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [({}, "gbtree"), ({"booster": "dart", "rate_drop": 0.5}, "dart"), ({"booster": "gblinear"}, "gblinear")],
    ids=["gbtree", "dart", "gblinear"],
)
def test_every_kind_of_booster_is_read(parameters: dict[str, Any], kind: str) -> None:
    """They are laid out differently; features and objective are found in each."""
    document = read(train_numbers(NAMES, **parameters))
    assert (document.booster, document.objective, len(document.features)) == (kind, "binary:logistic", 8)


@pytest.mark.parametrize(
    ("kind", "best", "stops", "n_rounds"),
    [("gbtree", 4, True, 5), ("dart", 0, True, 1), ("gbtree", 4, False, None), ("gbtree", None, True, None),
     ("gblinear", 4, True, None)],
)  # fmt: skip
def test_rounds_end_at_the_best_one_where_a_wrapper_would_stop(
    kind: str, best: int | None, stops: bool, n_rounds: int | None
) -> None:
    """And nowhere else: a plain booster uses them all, and gblinear has none."""
    document = BoosterDocument((), "binary:logistic", kind, best)
    assert document.count_rounds(stops_at_best_iteration=stops) == n_rounds


@pytest.mark.parametrize(
    ("categories", "stored"),
    [
        (["AA", "DL", "UA"], (b"AA", b"DL", b"UA")),
        (["", "a", "bcd"], (b"", b"a", b"bcd")),
        ([10, 20, 30], (10, 20, 30)),
        # One run of bytes, cut at counts of characters: dmlc/xgboost #12371. A fixed XGBoost fails here.
        (["Zürich", "São Paulo", "東京"], (b"Z\xc3\xbcric", b"hS\xc3\xa3o Pau", b"lo")),
    ],
    ids=["names", "an empty name", "numbers", "not ASCII"],
)
def test_categories_are_those_that_xgboost_keeps(categories: list[Any], stored: tuple[Any, ...]) -> None:
    """In code order, byte for byte, without a guess at what was cut."""
    table = make_table(carriers=categories)
    features = read(train_booster(table, make_target(table))).features
    assert features[0] == BoosterFeature("carrier", True, stored)
    assert features[1] == BoosterFeature("hour", False)


def test_dart_keeps_its_categories_too() -> None:
    """Its trees stand one level deeper in the document."""
    table = make_table()
    booster = train_booster(table, make_target(table), {"booster": "dart"})
    assert read(booster).features[0].stored_categories == (b"AA", b"DL", b"UA")


def test_a_sliced_booster_has_a_category_without_names() -> None:
    """XGBoost drops them when it slices; that it is a category is still known."""
    table = make_table()
    sliced = train_booster(table, make_target(table))[:5]
    assert read(sliced).features[0] == BoosterFeature("carrier", True, ())


def test_the_best_iteration_of_early_stopping_is_read() -> None:
    """It is kept as text among the booster's attributes."""
    table = make_table()
    data = xgboost.DMatrix(table, make_target(pd.DataFrame(table)), enable_categorical=True)
    stopping = {"early_stopping_rounds": 2, "evals": [(data, "x")], "verbose_eval": False}
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 5, **stopping)
    assert read(booster).best_iteration == booster.best_iteration
    assert read(train_numbers(None)).best_iteration is None


def test_a_document_that_disagrees_with_itself_is_refused() -> None:
    """Names and columns that differ in number leave no order to trust."""
    raw = bytes(train_numbers(NAMES).save_raw("ubj"))
    more = raw.replace(b"feature_names[#L" + pack(">q", 8), b"feature_names[#L" + pack(">q", 9) + b"SL" + pack(">q", 0))
    assert more != raw
    with pytest.raises(ModelUnfit, match="differ in number"):
        read_booster(more)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"{L" + pack(">q", 7) + b"learner[#L" + pack(">q", 0) + b"}",
        b"{L" + pack(">q", 7) + b"learner{}}",
    ],
    ids=repr,
)
def test_a_foreign_document_is_refused(raw: bytes) -> None:
    """An XGBoost that writes another layout is told apart from one that we can read."""
    with pytest.raises(ModelUnfit, match="not one that XGBoost 2 or 3 writes"):
        read_booster(raw)


def test_a_best_iteration_that_is_no_number_is_refused() -> None:
    """Attributes are free text, which anybody can write."""
    booster = train_numbers(None)
    booster.set_attr(best_iteration="many")
    with pytest.raises(ModelUnfit, match="many"):
        read(booster)
