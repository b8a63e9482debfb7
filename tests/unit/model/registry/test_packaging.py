"""What is packed beside a booster: golden rows as a caller sends them, and a profile of the fitted rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

from app.artifacts import DataDescription
from app.profile import CategoryProfile, NumberProfile
from model.datasets.dataset import Dataset, FeatureColumn, encode_categories
from model.datasets.split import Split
from model.project import ModelDescription
from model.registry.packaging import (
    N_GOLDEN_ROWS,
    ModelPackage,
    answer_golden_rows,
    choose_golden_rows,
    importances,
    pack_model,
    profile_training,
)
from model.training.binary import BinaryClassification
from model.training.fit import FittedModel

CATEGORIES = {"carrier": ["AA", "DL"]}


def make_rows(n_rows: int) -> pd.DataFrame:
    """Rows with a category, a whole number, a number that may be missing, and one that says nothing."""
    rng = np.random.default_rng(n_rows)
    temp = rng.normal(50, 15, n_rows)
    temp[n_rows // 2] = np.nan
    return pd.DataFrame(
        {
            "carrier": rng.choice(["AA", "DL"], n_rows),
            "hour": rng.integers(0, 24, n_rows),
            "temp": temp,
            "constant": np.ones(n_rows),
        }
    )


@pytest.fixture(scope="module")
def model() -> FittedModel:
    """A real booster that asks every feature but the constant."""
    rows = make_rows(400)
    late = (rows["hour"] + 10 * (rows["carrier"] == "DL") + rows["temp"].fillna(50) / 20 > 17).to_numpy()
    matrix = xgboost.DMatrix(encode_categories(rows, CATEGORIES), late, enable_categorical=True)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, matrix, 8)
    return FittedModel(booster, CATEGORIES, 8, [0.9] * 8)


def test_golden_rows_are_spread_over_time_and_few() -> None:
    """The first row and the last are among them, and the file stays small."""
    chosen = choose_golden_rows(make_rows(5_000), CATEGORIES)
    assert N_GOLDEN_ROWS - 2 <= len(chosen) <= N_GOLDEN_ROWS
    rows = make_rows(5_000)
    assert chosen.iloc[0].equals(rows.iloc[0])
    assert chosen.iloc[-1].equals(rows.iloc[-1])


def test_golden_rows_have_every_way_of_being_missing() -> None:
    """One row in five thousand is enough: a missing value and an unknown category are always among them."""
    rows = make_rows(5_000)
    rows.loc[1_234, "carrier"] = "ZZ"
    chosen = choose_golden_rows(rows, CATEGORIES)
    assert chosen["temp"].isna().sum() == 1
    assert (chosen["carrier"] == "ZZ").sum() == 1


def test_a_few_rows_are_all_golden() -> None:
    """Fewer rows than asked for are no error, and none is taken twice."""
    assert len(choose_golden_rows(make_rows(7), CATEGORIES)) == 7


def test_golden_instances_are_what_a_caller_sends(model: FittedModel) -> None:
    """Whole numbers are whole, a missing value is null, an unknown category keeps its name, nothing is NaN."""
    rows = pd.DataFrame({"carrier": ["AA", "ZZ"], "hour": [7, 8], "temp": [39.02, np.nan], "constant": 1.0})
    golden = json.loads(answer_golden_rows(model, rows).model_dump_json())
    assert golden["instances"] == [
        {"carrier": "AA", "hour": 7, "temp": 39.02, "constant": 1.0},
        {"carrier": "ZZ", "hour": 8, "temp": None, "constant": 1.0},
    ]
    assert isinstance(golden["instances"][0]["hour"], int)


def test_golden_answers_are_xgboosts_own_to_the_last_bit(model: FittedModel) -> None:
    """JSON keeps every float32 whole."""
    rows = make_rows(50)
    golden = json.loads(answer_golden_rows(model, rows).model_dump_json())
    matrix = xgboost.DMatrix(encode_categories(rows, CATEGORIES), enable_categorical=True)
    assert np.array_equal(np.float32(golden["predictions"]), model.booster.predict(matrix))
    assert np.array_equal(np.float32(golden["margins"]), model.booster.predict(matrix, output_margin=True))


def test_importances_are_ordered_and_complete(model: FittedModel) -> None:
    """A feature that no tree asks is listed all the same, last."""
    gains = importances(model.booster)
    assert set(gains) == {"carrier", "hour", "temp", "constant"}
    assert list(gains.values()) == sorted(gains.values(), reverse=True)
    assert list(gains)[-1] == "constant"
    assert gains["constant"] == 0


def test_the_profile_counts_the_rows_by_importance(model: FittedModel) -> None:
    """Every row is in a bin or missing, for each feature and the prediction."""
    rows = make_rows(400)
    profile = profile_training(model, rows, model.predict(rows), None)
    assert [feature.name for feature in profile.features] == list(importances(model.booster))
    by_name = {feature.name: feature for feature in profile.features}
    assert isinstance(by_name["carrier"], CategoryProfile)
    assert isinstance(by_name["temp"], NumberProfile)
    assert by_name["carrier"].counts == [int((rows["carrier"] == name).sum()) for name in CATEGORIES["carrier"]]
    assert by_name["temp"].n_missing == 1
    assert all(sum(feature.counts) + feature.n_missing == 400 for feature in [*profile.features, profile.prediction])
    assert profile.n_rows == 400


def pack(folder: Path, model: FittedModel, rows: pd.DataFrame) -> ModelPackage:
    """Pack a model whose fitted, stopping and test rows are the same few."""
    moments = pd.Series(pd.date_range("2013", periods=len(rows), freq="h", tz="UTC"))
    data = Dataset(rows, np.zeros(len(rows), dtype=np.int8), moments)
    columns = [FeatureColumn(str(name), "double", False, "") for name in rows.columns]
    described = DataDescription(name="made up", sha256=data.digest(), n_rows=len(rows), first="", last="")
    return pack_model(
        folder,
        model,
        Split(data, data, data),
        model.predict(rows),
        ModelDescription("that it happens", "missing", columns),
        BinaryClassification(0.5),
        described,
        {"test_auc": 0.7},
        "abc-dirty",
    )


def test_the_example_has_every_value_where_a_row_has(model: FittedModel, tmp_path: Path) -> None:
    """MLflow writes a missing value as NaN, which is not JSON."""
    rows = make_rows(6)
    rows.loc[[0, 1], "temp"] = np.nan
    assert not pack(tmp_path, model, rows).example.isna().any(axis=None)


def test_a_feature_that_is_always_missing_still_leaves_an_example(model: FittedModel, tmp_path: Path) -> None:
    """Rather an example with a gap than none."""
    assert len(pack(tmp_path, model, make_rows(6).assign(temp=np.nan)).example) == 3


def test_the_cards_digest_is_that_of_the_boosters_file(model: FittedModel, tmp_path: Path) -> None:
    """XGBoost writes the same bytes every time, so the card can be written before MLflow saves the file."""
    package = pack(tmp_path, model, make_rows(6))
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["booster_sha256"] == package.booster_sha256 == pack(tmp_path, model, make_rows(6)).booster_sha256
    assert (card["categories"], card["git_commit"], card["unknown_category"]) == (CATEGORIES, "abc-dirty", "missing")
    assert [path.name for path in package.extra_files] == ["card.json", "profile.json", "golden.json"]
