"""Fitting: the rounds that serve the later rows best, with the category names kept, and the same every time."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xgboost

from app.forest.document import read_booster
from model.datasets.dataset import Dataset
from model.datasets.split import Split
from model.errors import DeviceMissing
from model.progress import Progress
from model.training.binary import BinaryClassification
from model.training.fit import FittedModel, check_device, fit_model
from tests.parameters import make_training_parameters

TASK = BinaryClassification()
PARAMETERS = make_training_parameters(max_depth=3, learning_rate=0.3, rounds=60, stopping_rounds=5, min_child_weight=1)


def make_rows(n_rows: int, seed: int, carriers: list[str]) -> Dataset:
    """Rows whose outcome depends on a category and a number, with noise, and some values missing."""
    rng = np.random.default_rng(seed)
    carrier, temp = rng.choice(carriers, n_rows), rng.normal(50, 15, n_rows)
    late = rng.random(n_rows) < 1 / (1 + np.exp(-(np.isin(carrier, ["DL"]) * 2 - 1 + (50 - temp) / 20)))
    temp[rng.random(n_rows) < 0.1] = np.nan
    features = pd.DataFrame({"carrier": carrier, "temp": temp, "constant": 1.0})
    return Dataset(features, late.astype(np.int8), pd.Series(pd.date_range("2013", periods=n_rows, freq="h", tz="UTC")))


@pytest.fixture(scope="module")
def split() -> Split:
    """The stopping and test rows have a carrier that the fitted ones have not."""
    later = ["AA", "BB", "DL", "UA"]
    return Split(make_rows(600, 0, ["UA", "DL", "AA"]), make_rows(300, 1, later), make_rows(300, 2, later))


@pytest.fixture(scope="module")
def fitted(split: Split) -> FittedModel:
    """A model of the small rows."""
    return fit_model(split, TASK, PARAMETERS, Progress(io.StringIO()))


def test_the_booster_has_the_best_rounds_and_no_others(fitted: FittedModel) -> None:
    """A plain booster answers with all its rounds, so it may not have those after the best one."""
    assert fitted.n_rounds == int(np.argmax(fitted.stop_scores)) + 1
    assert fitted.booster.num_boosted_rounds() == fitted.n_rounds < len(fitted.stop_scores) < PARAMETERS.rounds


def test_the_category_names_are_kept_in_the_booster(fitted: FittedModel) -> None:
    """A sliced booster would have lost them, and the service could only believe the card."""
    features = {feature.name: feature for feature in read_booster(bytes(fitted.booster.save_raw("ubj")))[0].features}
    assert fitted.categories == {"carrier": ["AA", "DL", "UA"]}
    assert features["carrier"].stored_categories == (b"AA", b"DL", b"UA")


def test_an_unknown_category_is_predicted_as_missing(fitted: FittedModel) -> None:
    """XGBoost itself would have read BB as DL."""
    rows = pd.DataFrame({"carrier": ["BB", None, "DL"], "temp": 50.0, "constant": 1.0})
    unknown, missing, known = fitted.predict(rows)
    assert unknown == missing != known


def test_margins_are_the_predictions_before_the_logistic(fitted: FittedModel, split: Split) -> None:
    """Golden rows hold both."""
    margins = fitted.predict(split.test.features, margins=True).astype(np.float64)
    assert fitted.predict(split.test.features) == pytest.approx(1 / (1 + np.exp(-margins)), rel=1e-5)


def test_the_same_seed_gives_the_same_booster(fitted: FittedModel, split: Split) -> None:
    """Bit for bit; and another seed another one."""
    again = fit_model(split, TASK, PARAMETERS, Progress(io.StringIO()))
    other = fit_model(split, TASK, replace(PARAMETERS, seed=1), Progress(io.StringIO()))
    assert again.booster.save_raw() == fitted.booster.save_raw() != other.booster.save_raw()


def test_the_rounds_are_reported(split: Split) -> None:
    """A long search shows that it is alive, and what it stopped at."""
    told = io.StringIO()
    fit_model(split, TASK, replace(PARAMETERS, learning_rate=0.01, stopping_rounds=60), Progress(told))
    assert "s    round 25: auc on the stopping rows 0." in told.getvalue()
    assert "s    round 50: auc on the stopping rows 0." in told.getvalue()
    assert "s  best after " in told.getvalue()


@pytest.mark.skipif(xgboost.build_info()["USE_CUDA"], reason="this XGBoost can have a GPU")
def test_a_device_that_is_not_there_is_an_error() -> None:
    """XGBoost would warn and quietly use the CPU."""
    with pytest.raises(DeviceMissing, match="finds no cuda device; use --device cpu"):
        check_device("cuda")
    check_device("cpu")
