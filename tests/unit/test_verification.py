"""A model version serves only if it answers its golden rows as it did at training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.artifacts import GoldenRows
from app.errors import ModelUnfit
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.profile import CategoryProfile, NumberProfile, ReferenceProfile
from app.verification import verify
from tests.boosters import CARRIERS, ModelFolderBuilder, make_table, make_target, train_booster

NUMBER = NumberProfile.of("hour", [1.0, 2.0])


@pytest.fixture(scope="module")
def golden(predictor: Predictor) -> GoldenRows:
    """The golden rows that are right."""
    assert predictor.golden is not None
    return predictor.golden


def refusal(predictor: Predictor, **changes: Any) -> str:
    """Why a predictor is refused, with changed golden rows."""
    assert predictor.golden is not None
    changed = GoldenRows.model_validate(predictor.golden.model_dump() | changes)
    with pytest.raises(ModelUnfit) as caught:
        verify(replace(predictor, golden=changed))
    return str(caught.value)


def test_a_model_that_answers_as_it_did_is_fit(predictor: Predictor) -> None:
    """Every golden row, margins and predictions."""
    verify(predictor)


def test_a_model_without_golden_rows_is_fit(predictor: Predictor) -> None:
    """It was logged by others; what can be checked was checked at loading."""
    verify(replace(predictor, golden=None))


@pytest.mark.parametrize("parameters", [{"objective": "multi:softprob", "num_class": 3}, {"booster": "dart"}], ids=str)
def test_every_shape_of_answer_is_compared(tmp_path: Path, version: ModelVersion, parameters: dict[str, Any]) -> None:
    """A number an instance, or one a class."""
    table = make_table()
    booster = train_booster(table, make_target(table), parameters)
    loaded = Predictor.load(ModelFolderBuilder(booster, None, table).write(tmp_path / "m"), version)
    verify(loaded)
    assert loaded.golden is not None
    predictions = np.array(loaded.golden.predictions)
    predictions[-1] += 0.01
    assert "golden row 19" in refusal(loaded, predictions=predictions.tolist())


@pytest.mark.parametrize("what", ["margins", "predictions"])
def test_a_row_that_is_answered_otherwise_refuses_the_model(
    predictor: Predictor, golden: GoldenRows, what: str
) -> None:
    """The text names the row, both numbers and how many differ."""
    numbers: Any = list(getattr(golden, what))
    numbers[7] += 0.001
    numbers[9] -= 0.001
    text = refusal(predictor, **{what: numbers})
    assert f"the model answers golden row 7 with the {what[:-1]} " in text
    assert f"answered {numbers[7]} at training" in text
    assert "2 of 20 differ" in text


@pytest.mark.parametrize("factor", [1 + 5e-6, 1 - 5e-6])
def test_another_order_of_float32_sums_is_no_difference(
    predictor: Predictor, golden: GoldenRows, factor: float
) -> None:
    """Another machine may add the leaves in another order."""
    verify(replace(predictor, golden=golden.model_copy(update={"margins": [x * factor for x in golden.margins]})))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("wrong", "shape"),
    [
        ([0.5], "(1,)"),
        ([[0.5, 0.5]] * 20, "(20, 2)"),
        ([0.5] * 21, "(21,)"),
    ],
    ids=["fewer", "classes", "more"],
)
@pytest.mark.parametrize("what", ["margins", "predictions"])
def test_answers_of_another_shape_refuse_the_model(predictor: Predictor, what: str, wrong: Any, shape: str) -> None:
    """The golden rows belong to another model."""
    assert f"golden.json has {what} of shape {shape}, the model answers (20,)" in refusal(predictor, **{what: wrong})


@pytest.mark.parametrize("what", ["margins", "predictions"])
def test_answers_of_no_shape_refuse_the_model(predictor: Predictor, what: str) -> None:
    """A row with one class more than another is no model's answer."""
    assert f"golden.json has {what} that are no table" in refusal(predictor, **{what: [[0.5], [0.5, 0.5]] * 10})


@pytest.mark.parametrize(
    ("instance", "told"),
    [
        ({"carrier": "AA"}, "/instances/0/hour: the required feature 'hour' is missing"),
        ({"carrier": "AA", "hour": "x"}, "/instances/0/hour: 'hour' must be an integer, not 'x'"),
        ({"carrier": "AA", "hour": 1, "day": 1}, "/instances/0/day: the model has no feature 'day'"),
        ({"carrier": "AA", "hour": 10**400}, "/instances/0/hour: 'hour' must be an integer of 64 bits"),
    ],
)
def test_golden_rows_that_the_signature_does_not_accept_refuse_the_model(
    predictor: Predictor, golden: GoldenRows, instance: dict[str, Any], told: str
) -> None:
    """A caller who sends what training saw would be refused too."""
    assert told in refusal(predictor, instances=[instance, *golden.instances[1:]])


def test_a_golden_row_may_have_a_category_from_after_training(predictor: Predictor, golden: GoldenRows) -> None:
    """XGBoost answered it as missing, and so do we."""
    known, unknown = ({"carrier": carrier, "hour": 9, "temp": None, "wind": None} for carrier in (None, "B6"))
    matrix = predictor.decoder.decode(
        b'{"instances": [{"carrier": null, "hour": 9}]}', max_instances=1, unknown_is_missing=False
    ).matrix
    answers = {
        "margins": predictor.forest.margins(matrix).tolist() * 2,
        "predictions": predictor.forest.predictions(matrix).tolist() * 2,
    }
    verify(replace(predictor, golden=GoldenRows.model_validate({"instances": [known, unknown], **answers})))


@pytest.mark.parametrize(
    ("profiled", "told"),
    [
        (NumberProfile.of("day", [1.0]), "describes 'day', which is no feature of the model"),
        (NumberProfile.of("carrier", [1.0]), "describes 'carrier' as a number, the model has category"),
        (CategoryProfile.of("hour", [0], ["x"]), "describes 'hour' as a category, the model has long"),
    ],
)
def test_a_profile_of_another_model_refuses_it(predictor: Predictor, profiled: Any, told: str) -> None:
    """Drift would be measured against the wrong thing."""
    profile = ReferenceProfile(features=[NUMBER, profiled], prediction=NUMBER, n_rows=2)
    with pytest.raises(ModelUnfit, match=told):
        verify(replace(predictor, profile=profile))


def test_a_profile_of_the_models_own_features_is_fit(predictor: Predictor) -> None:
    """Of some of them, in its own order."""
    features = [NUMBER, CategoryProfile.of("carrier", [0, 1], CARRIERS)]
    verify(replace(predictor, profile=ReferenceProfile(features=features, prediction=NUMBER, n_rows=2)))


@pytest.mark.parametrize("categories", [["UA", "DL", "AA"], ["AA", "DL"]])
def test_a_profile_of_other_categories_refuses_the_model(predictor: Predictor, categories: list[str]) -> None:
    """Its counts are by code: in another order they are those of another category."""
    features = [CategoryProfile.of("carrier", [0], categories)]
    profile = ReferenceProfile(features=features, prediction=NUMBER, n_rows=1)
    with pytest.raises(ModelUnfit, match=r"profile\.json and the model disagree on the categories of 'carrier'"):
        verify(replace(predictor, profile=profile))


def test_verifying_uses_the_real_model(model: ModelFolderBuilder, tmp_path: Path, version: ModelVersion) -> None:
    """Another booster with the same features and the first one's golden rows is found out."""
    table = make_table(seed=5)
    folder = replace(model, card=None).write(tmp_path / "m")
    train_booster(table, make_target(table)[::-1].copy()).save_model(folder / "model.ubj")
    with pytest.raises(ModelUnfit, match="not the model that was registered"):
        verify(Predictor.load(folder, version))


def of_classes(tmp_path: Path, version: ModelVersion, classes: list[str] | None, profiled: list[str] | None) -> None:
    """Verify a model of three classes whose card and profile have these."""
    table = make_table()
    booster = train_booster(
        table, table["carrier"].cat.codes.to_numpy(), {"objective": "multi:softprob", "num_class": 3}
    )
    builder = ModelFolderBuilder(booster, None, table, card={"classes": classes})
    predictor = Predictor.load(builder.write(tmp_path / "model"), version)
    prediction = NUMBER if profiled is None else CategoryProfile.of("prediction", [0], profiled)
    verify(replace(predictor, profile=ReferenceProfile(features=[], prediction=prediction, n_rows=1)))


@pytest.mark.parametrize("classes", [None, ["fog", "rain", "sun"]])
def test_classes_of_the_models_own_are_fit(tmp_path: Path, version: ModelVersion, classes: list[str] | None) -> None:
    """A name for each number, or none at all."""
    of_classes(tmp_path, version, classes, classes)


@pytest.mark.parametrize(
    ("classes", "profiled", "told"),
    [
        (["fog", "rain"], None, r"card\.json names 2 classes, and the model answers 3 numbers an instance"),
        (None, ["fog", "rain"], r"profile\.json has predictions of 2 classes, and the model answers 3 numbers"),
        (["fog", "rain", "sun"], ["rain", "fog", "sun"], r"profile\.json and card\.json disagree on the classes"),
    ],
)
def test_classes_of_another_model_refuse_it(
    tmp_path: Path, version: ModelVersion, classes: list[str] | None, profiled: list[str] | None, told: str
) -> None:
    """One class would be read as another, and drift be counted in bins that are not there."""
    with pytest.raises(ModelUnfit, match=told):
        of_classes(tmp_path, version, classes, profiled)


def test_a_model_of_one_number_has_no_classes(predictor: Predictor) -> None:
    """Two names for a yes and a no are one too many."""
    assert predictor.card is not None
    card = predictor.card.model_copy(update={"classes": ["no", "yes"]})
    with pytest.raises(ModelUnfit, match="names 2 classes, and the model answers one number an instance"):
        verify(replace(predictor, card=card))
