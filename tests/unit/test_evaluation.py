"""The kernel answers for a model version only if it gives XGBoost's own bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import ModelUnfit
from app.evaluation import choose_evaluator
from app.forest import kernel_forest, learner, packing
from app.forest.kernel_forest import FloatMatrix, KernelForest
from app.forest.xgboost_forest import XGBoostForest
from app.model_version import ModelVersion
from app.predictor import Predictor
from tests.boosters import ModelFolderBuilder, make_table, make_target, train_booster


def to_rows(predictor: Predictor, n_rows: int = 300) -> FloatMatrix:
    """Rows as the decoder gives them."""
    table = make_table(n_rows, seed=5)
    return table.assign(carrier=table["carrier"].cat.codes).to_numpy("float32")


def test_the_kernel_answers_with_the_same_bits(predictor: Predictor) -> None:
    """And the reason that it is not XGBoost is gone."""
    chosen = choose_evaluator(predictor)
    assert isinstance(chosen.forest, KernelForest)
    assert chosen.evaluator.name == f"kernel ({chosen.forest.walk})"
    assert (chosen.evaluator.reason, chosen.evaluator.has_disagreed) == (None, False)
    rows = to_rows(predictor)
    np.testing.assert_array_equal(chosen.forest.predictions(rows), predictor.forest.predictions(rows))


def test_a_model_without_golden_rows_is_compared_on_its_thresholds(predictor: Predictor) -> None:
    """Most models from elsewhere have none."""
    assert isinstance(choose_evaluator(replace(predictor, golden=None)).forest, KernelForest)


@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax", "reg:quantileerror"])
def test_every_shape_of_answer_is_compared(tmp_path: Path, version: ModelVersion, objective: str) -> None:
    """A number an instance, or several."""
    table = make_table()
    shape = {"quantile_alpha": [0.2, 0.8]} if "quantile" in objective else {"num_class": 3}
    given = {"objective": objective, **shape}
    booster = train_booster(table, make_target(table), given)
    folder = ModelFolderBuilder(booster, None, table).write(tmp_path / "m")
    assert isinstance(choose_evaluator(Predictor.load(folder, version)).forest, KernelForest)


def spoil_default(pack: Callable[..., Any]) -> Callable[..., Any]:
    """Missing values go the other way in one tree."""

    def packed(trees: Any, is_category: Any) -> Any:
        trees = [dict(tree) for tree in trees]
        trees[3]["default_left"] = 1 - np.asarray(trees[3]["default_left"]).astype(int)
        return pack(trees, is_category)

    return packed


def spoil_threshold(pack: Callable[..., Any]) -> Callable[..., Any]:
    """Every threshold is the next number above: rows right on one go the other way."""

    def packed(trees: Any, is_category: Any) -> Any:
        result = pack(trees, is_category)
        value = result.nodes["value"]
        asks_number = (result.nodes["link"] != 0) & (result.nodes["link"] >> 30 & 1 == 0)
        value[asks_number] = np.nextafter(value[asks_number], np.float32(np.inf))
        return result

    return packed


def spoil_category(pack: Callable[..., Any]) -> Callable[..., Any]:
    """One bit of one set of categories."""

    def packed(trees: Any, is_category: Any) -> Any:
        result = pack(trees, is_category)
        result.sets[0] ^= 2
        return result

    return packed


@pytest.mark.parametrize("spoil", [spoil_default, spoil_threshold, spoil_category])
def test_a_kernel_that_differs_does_not_answer(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, spoil: Callable[..., Any]
) -> None:
    """XGBoost does, with a reason and a flag for the metric; faults that few rows would show are found."""
    monkeypatch.setattr(learner, "pack_trees", spoil(packing.pack_trees))
    chosen = choose_evaluator(replace(predictor, golden=None))
    assert isinstance(chosen.forest, XGBoostForest)
    assert chosen.evaluator.name == "xgboost"
    assert chosen.evaluator.has_disagreed
    assert "differs from XGBoost on" in str(chosen.evaluator.reason)


def test_one_row_that_differs_by_itself_is_enough(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row alone takes another way through the kernel than many."""
    answer = KernelForest.predictions

    def spoiled(self: KernelForest, matrix: FloatMatrix) -> FloatMatrix:
        answered = answer(self, matrix)
        return np.nextafter(answered, np.float32(1)) if len(matrix) == 1 else answered

    monkeypatch.setattr(KernelForest, "predictions", spoiled)
    assert choose_evaluator(predictor).evaluator.has_disagreed


def test_without_a_built_kernel_xgboost_answers(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with the model."""
    monkeypatch.setattr(kernel_forest, "_kernel", None)
    chosen = choose_evaluator(predictor)
    assert chosen.forest is predictor.forest
    assert (chosen.evaluator.reason, chosen.evaluator.has_disagreed) == ("the kernel is not built", False)


def test_damaged_trees_are_refused(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """XGBoost walks them all the same, to somewhere."""

    def damaged(self: XGBoostForest) -> bytes:
        return raw.replace(b"split_type", b"split_tipe")

    assert isinstance(predictor.forest, XGBoostForest)
    raw = predictor.forest.raw()
    monkeypatch.setattr(XGBoostForest, "raw", damaged)
    with pytest.raises(ModelUnfit, match="not laid out as XGBoost"):
        choose_evaluator(predictor)
