"""A predictor is one model folder, loaded whole: what contradicts itself never becomes one."""

from __future__ import annotations

import json
import shutil
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml

from app.artifacts import write_artifact
from app.errors import ModelUnfit
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.profile import CategoryProfile, NumberProfile, ReferenceProfile
from app.signature import FeatureType
from tests.boosters import CARRIERS, INPUTS, ModelFolderBuilder, make_card, make_table, make_target, train_booster


def load(builder: ModelFolderBuilder, folder: Path, version: ModelVersion) -> Predictor:
    """Write a folder and load it."""
    return Predictor.load(builder.write(folder), version)


def refusal(folder: Path, version: ModelVersion) -> str:
    """Why a folder is refused."""
    with pytest.raises(ModelUnfit) as caught:
        Predictor.load(folder, version)
    return str(caught.value)


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the model's files, to be changed."""
    return shutil.copytree(model_folder, tmp_path / "model")


def add_example(folder: Path, table: dict[str, Any]) -> None:
    """Log an input example as MLflow does."""
    path = folder / "MLmodel"
    info = {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"}
    document = yaml.safe_load(path.read_text()) | {"saved_input_example_info": info}
    path.write_text(yaml.safe_dump(document))
    (folder / "input_example.json").write_text(json.dumps(table))


def test_a_folder_becomes_all_that_an_answer_needs(predictor: Predictor, model: ModelFolderBuilder) -> None:
    """Signature, forest, card and golden rows, from the files alone."""
    assert [(feature.name, feature.type, feature.required) for feature in predictor.signature.features] == [
        ("carrier", FeatureType.CATEGORY, True),
        ("hour", FeatureType.LONG, True),
        ("temp", FeatureType.NUMBER, False),
        ("wind", FeatureType.NUMBER, False),
    ]
    assert predictor.signature.features[0].categories == tuple(CARRIERS)
    assert predictor.objective == "binary:logistic"
    assert predictor.card is not None
    assert predictor.golden is not None
    assert predictor.profile is None


def test_it_answers_instances_as_xgboost_answers_the_table(predictor: Predictor, model: ModelFolderBuilder) -> None:
    """From the body's bytes to the prediction, categories and missing values included."""
    rows = json.loads(model.table.to_json(orient="records", double_precision=15))
    decoded = predictor.decoder.decode(
        json.dumps({"instances": rows}).encode(), max_instances=1000, unknown_is_missing=False
    )
    expected = model.booster.predict(xgboost.DMatrix(model.table, enable_categorical=True))
    np.testing.assert_array_equal(predictor.forest.predictions(decoded.matrix), expected)


def test_nothing_of_it_can_be_changed(predictor: Predictor) -> None:
    """A request may hold it while another takes its place."""
    with pytest.raises(FrozenInstanceError):
        predictor.objective = "x"  # type: ignore[misc]


@pytest.mark.parametrize(("known", "expected"), [("r" * 32, "r" * 32), (None, "f" * 32)])
def test_the_run_is_the_registrys_or_else_the_folders(
    model_folder: Path, version: ModelVersion, known: str | None, expected: str
) -> None:
    """A folder named by its path still says which run it came from."""
    assert Predictor.load(model_folder, replace(version, run_id=known)).version.run_id == expected


def test_a_model_with_nothing_but_a_booster_is_served(
    model: ModelFolderBuilder, tmp_path: Path, version: ModelVersion
) -> None:
    """Logged by others, without signature, card or golden rows."""
    bare = load(replace(model, inputs=None, card=None, with_golden=False), tmp_path / "m", version)
    assert (bare.card, bare.golden, bare.profile) == (None, None, None)
    assert not any(feature.required for feature in bare.signature.features)
    assert bare.example == {"carrier": "AA", "hour": 0.0, "temp": 0.0, "wind": 0.0}


def test_a_profile_is_read(folder: Path, version: ModelVersion) -> None:
    """From beside the card."""
    profile = ReferenceProfile(
        features=[CategoryProfile.of("carrier", [0, 1], CARRIERS)], prediction=NumberProfile.of("p", [0.5]), n_rows=2
    )
    write_artifact(profile, folder / "extra_files" / "profile.json")
    assert Predictor.load(folder, version).profile == profile


def test_a_scikit_learn_wrapper_stops_at_the_best_iteration(
    model: ModelFolderBuilder, tmp_path: Path, version: ModelVersion
) -> None:
    """The class in `MLmodel` decides, as it decided when the wrapper was asked."""
    booster = model.booster.copy()
    booster.set_attr(best_iteration="2")
    plain = load(replace(model, booster=booster, with_golden=False), tmp_path / "plain", version)
    wrapper = load(
        replace(model, booster=booster, with_golden=False, model_class="xgboost.sklearn.XGBClassifier"),
        tmp_path / "wrapper",
        version,
    )
    data = xgboost.DMatrix(model.table, enable_categorical=True)
    matrix = model.table.assign(carrier=model.table["carrier"].cat.codes).to_numpy("float32")
    np.testing.assert_array_equal(wrapper.forest.predictions(matrix), booster.predict(data, iteration_range=(0, 3)))
    np.testing.assert_array_equal(plain.forest.predictions(matrix), booster.predict(data, iteration_range=(0, 12)))
    assert not np.array_equal(wrapper.forest.predictions(matrix), plain.forest.predictions(matrix))


@pytest.mark.parametrize("carriers", [["Zürich", "São Paulo", "東京"], [10, 20, 30]], ids=["not ASCII", "numbers"])
@pytest.mark.parametrize("suffix", ["ubj", "json"])
def test_categories_of_every_kind_are_served_with_a_card(
    tmp_path: Path, version: ModelVersion, carriers: list[Any], suffix: str
) -> None:
    """The card lists them; what the booster keeps of them agrees."""
    table = make_table(carriers=carriers)
    inputs = [INPUTS[0] | {"type": "long" if isinstance(carriers[0], int) else "string"}, *INPUTS[1:]]
    booster = train_booster(table, make_target(table))
    builder = ModelFolderBuilder(booster, inputs, table, f"model.{suffix}", card={"categories": {"carrier": carriers}})
    loaded = load(builder, tmp_path / "m", version)
    assert loaded.signature.features[0].categories == tuple(carriers)
    body = json.dumps({"instances": [{"carrier": carrier, "hour": 9} for carrier in carriers]}).encode()
    matrix = loaded.decoder.decode(body, max_instances=9, unknown_is_missing=False).matrix
    rows = pd.DataFrame({"carrier": pd.Categorical(carriers, categories=carriers), "hour": 9, "temp": np.nan})
    expected = booster.predict(xgboost.DMatrix(rows.assign(wind=np.nan), enable_categorical=True))
    np.testing.assert_array_equal(loaded.forest.predictions(matrix), expected)


def test_a_sliced_booster_is_served_with_a_card_and_refused_without(
    model: ModelFolderBuilder, tmp_path: Path, version: ModelVersion
) -> None:
    """Slicing loses the names; only the card still has them."""
    sliced = replace(model, booster=model.booster[:5], with_golden=False)
    assert load(sliced, tmp_path / "card", version).signature.features[0].categories == tuple(CARRIERS)
    assert "a sliced booster loses them" in refusal(replace(sliced, card=None).write(tmp_path / "bare"), version)


def test_a_booster_that_is_not_the_cards_is_refused_before_it_is_opened(folder: Path, version: ModelVersion) -> None:
    """Some corrupt files make XGBoost end the process, so it must not see them."""
    (folder / "model.ubj").write_bytes(b"{" + bytes(100))
    text = refusal(folder, version)
    assert "model.ubj is not the file that card.json was written for" in text
    assert "register the model version again" in text


def test_one_byte_makes_another_booster(folder: Path, version: ModelVersion) -> None:
    """Also where XGBoost could read it: a changed leaf is a changed model."""
    raw = bytearray((folder / "model.ubj").read_bytes())
    raw[-1000] ^= 1
    (folder / "model.ubj").write_bytes(raw)
    assert "was changed or is not whole" in refusal(folder, version)


@pytest.mark.parametrize("has_card", [True, False])
def test_a_booster_that_is_missing_is_refused(folder: Path, version: ModelVersion, has_card: bool) -> None:
    """With and without a card to compare it with."""
    (folder / "model.ubj").unlink()
    if not has_card:
        (folder / "extra_files" / "card.json").unlink()
    assert "model.ubj cannot be read" in refusal(folder, version)


@pytest.mark.parametrize("name", ["card.json", "golden.json", "profile.json"])
def test_a_corrupt_file_beside_the_booster_is_refused(folder: Path, version: ModelVersion, name: str) -> None:
    """One that is there counts, whole or not at all."""
    (folder / "extra_files" / name).write_text("{")
    assert f"{name} of the model is not valid" in refusal(folder, version)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"categories": {"carrier": ["UA", "DL", "AA"]}}, "disagree on the categories of 'carrier'"),
        ({"categories": {"hour": ["1"]}}, "lists categories for ['hour']"),
    ],
)
def test_a_card_that_contradicts_the_booster_is_refused(
    folder: Path, version: ModelVersion, change: dict[str, Any], told: str
) -> None:
    """Codes in another order would be silently wrong predictions."""
    write_artifact(make_card(folder / "model.ubj", **change), folder / "extra_files" / "card.json")
    assert told in refusal(folder, version)


def test_a_logged_example_that_can_be_predicted_is_the_example(folder: Path, version: ModelVersion) -> None:
    """As its author wrote it."""
    add_example(folder, {"columns": ["carrier", "hour", "temp"], "data": [["UA", 23, None]]})
    assert Predictor.load(folder, version).example == {"carrier": "UA", "hour": 23, "temp": None}


@pytest.mark.parametrize("row", [["B6", 23], ["UA", 1.5], ["UA", "x"]])
def test_an_example_that_cannot_be_predicted_gives_way_to_a_golden_row(
    folder: Path, version: ModelVersion, row: list[Any]
) -> None:
    """What `GET /model` shows must work when it is pasted."""
    add_example(folder, {"columns": ["carrier", "hour"], "data": [row]})
    loaded = Predictor.load(folder, version)
    assert loaded.golden is not None
    assert loaded.example == loaded.golden.instances[0]


@pytest.mark.parametrize("card", [None, "reject", "missing"])
@pytest.mark.parametrize("setting", [None, "reject", "missing"])
def test_the_operator_has_the_word_on_unknown_categories_then_the_card(
    predictor: Predictor, card: Any, setting: Any
) -> None:
    """And where both are silent they are errors."""
    assert predictor.card is not None
    changed = replace(predictor, card=predictor.card.model_copy(update={"unknown_category": card}))
    assert changed.unknown_is_missing(setting) is ((setting or card or "reject") == "missing")
    assert replace(predictor, card=None).unknown_is_missing(setting) is (setting == "missing")
