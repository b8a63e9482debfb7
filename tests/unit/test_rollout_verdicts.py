"""A model version that this software has verified before serves without XGBoost; every other is compared with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from prometheus_client import CollectorRegistry

from app import evaluation
from app.errors import ModelError, ModelUnfit
from app.forest import kernel_forest
from app.forest.kernel_forest import KernelForest
from app.forest.xgboost_forest import XGBoostForest
from app.metrics import Metrics
from app.predictor import Predictor
from app.rollout import Rollout
from app.verdicts import Verdicts
from tests.boosters import ModelFolderBuilder, make_model, make_table, make_target, train_booster
from tests.services import FakeRegistry

Load = Callable[[Path], Predictor]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Starts anew at every call, with the same folder of verdicts."""

    def start(folder: Path) -> Predictor:
        started = Rollout(
            FakeRegistry(folder),
            "models:/flight-delay@champion",
            Metrics(CollectorRegistry()),
            Verdicts(tmp_path / "v"),
        )
        started.load()
        return started.current

    return start


@pytest.fixture
def without_xgboost(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, whoever opens XGBoost fails."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("XGBoost was opened")

    return lambda: monkeypatch.setattr(XGBoostForest, "__init__", refuse)


def test_the_second_start_answers_the_same_without_xgboost(
    load: Load, model_folder: Path, without_xgboost: Callable[[], None]
) -> None:
    """Signature, categories, policies and bits."""
    first = load(model_folder)
    without_xgboost()
    second = load(model_folder)
    assert isinstance(second.forest, KernelForest)
    assert second.signature == first.signature
    assert replace(second, forest=first.forest, decoder=first.decoder, answers=first.answers) == first
    table = make_table(n_rows=200, seed=3)
    rows = table.assign(carrier=table["carrier"].cat.codes).to_numpy("float32")
    np.testing.assert_array_equal(second.forest.margins(rows), first.forest.margins(rows))


def test_a_wrapper_stops_at_its_best_round_without_xgboost_too(
    load: Load, tmp_path: Path, without_xgboost: Callable[[], None]
) -> None:
    """Only the file says so."""
    table = make_table()
    booster = train_booster(table, make_target(table), rounds=9)
    booster.set_attr(best_iteration="4")
    wrapper = ModelFolderBuilder(booster, None, table, model_class="xgboost.sklearn.XGBClassifier", with_golden=False)
    folder = wrapper.write(tmp_path / "m")
    first = load(folder)
    without_xgboost()
    second = load(folder)
    rows = table.assign(carrier=table["carrier"].cat.codes).to_numpy("float32")
    np.testing.assert_array_equal(second.forest.margins(rows), first.forest.margins(rows))
    whole = booster.predict(xgboost.DMatrix(table, enable_categorical=True), output_margin=True)
    assert not np.array_equal(second.forest.margins(rows), whole)


def test_golden_rows_have_to_be_met_all_the_same(
    load: Load, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last check, of what will really answer, is done at every start."""
    load(model_folder)
    monkeypatch.setattr(KernelForest, "predictions", lambda self, matrix: np.zeros(len(matrix), np.float32))
    with pytest.raises(ModelUnfit, match="golden row 0"):
        load(model_folder)


def spoil_answers(patch: pytest.MonkeyPatch) -> None:
    """The kernel differs from XGBoost."""
    patch.setattr(evaluation, "_count_differences", lambda *_: 1)


def spoil_reading(patch: pytest.MonkeyPatch) -> None:
    """What is read from the file is another forest than XGBoost makes of it."""
    pack = kernel_forest.pack_learner
    calls: list[dict[str, Any]] = []

    def packed(learner: Any, n_rounds: int | None) -> dict[str, Any]:
        calls.append(pack(learner, n_rounds))
        return {**calls[-1], "base_scores": bytes(4)} if len(calls) == 2 else calls[-1]

    patch.setattr(evaluation, "pack_learner", packed)
    patch.setattr(kernel_forest, "pack_learner", packed)


def spoil_layout(patch: pytest.MonkeyPatch) -> None:
    """The file's trees are laid out in an older way, which XGBoost writes anew."""
    pack = kernel_forest.pack_learner

    def packed(*_: Any) -> dict[str, Any]:
        raise KeyError("iteration_indptr")

    patch.setattr(evaluation, "pack_learner", packed)
    patch.setattr(kernel_forest, "pack_learner", pack)


@pytest.mark.parametrize("spoil", [spoil_answers, spoil_reading, spoil_layout])
def test_no_verdict_is_kept_where_the_two_differ(
    load: Load, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[..., None]
) -> None:
    """Whichever way; the next start compares them again."""
    with monkeypatch.context() as patch:
        spoil(patch)
        load(model_folder)
    assert not (tmp_path / "v").exists()
    load(model_folder)
    assert len(list((tmp_path / "v").iterdir())) == 1


def test_no_verdict_is_kept_where_xgboost_answers_or_alone_reads_the_file(load: Load, tmp_path: Path) -> None:
    """A booster without trees, and one in JSON, whose numbers XGBoost reads in its own way."""
    table = make_table()
    numbers = table.drop(columns="carrier")
    data = xgboost.DMatrix(numbers.fillna(0), make_target(table))
    linear = xgboost.train({"booster": "gblinear", "objective": "binary:logistic", "nthread": 1}, data, 5)
    folder = ModelFolderBuilder(linear, None, numbers, with_golden=False).write(tmp_path / "linear")
    assert isinstance(load(folder).forest, XGBoostForest)
    assert isinstance(load(make_model(booster_name="model.json").write(tmp_path / "json")).forest, KernelForest)
    assert not (tmp_path / "v").exists()


def test_another_file_is_compared_anew(
    load: Load, model_folder: Path, tmp_path: Path, without_xgboost: Callable[[], None]
) -> None:
    """A verdict speaks of one model version alone."""
    load(model_folder)
    other = shutil.copytree(model_folder, tmp_path / "other")
    (other / "note.txt").touch()
    without_xgboost()
    with pytest.raises(ModelError):
        load(other)
