"""A verified predictor is kept in a file, and comes back to the last bit or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from app.compatibility import Interface, Scale
from app.errors import ModelUnfit
from app.evaluation import choose_evaluator
from app.forest.kernel_forest import KernelForest
from app.forest.xgboost_forest import XGBoostForest
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.preparation.file import is_whole, read_interface, read_prepared, write_prepared
from app.preparation.prepared import Prepared
from tests.boosters import ModelFolderBuilder, make_model, make_table, make_target, train_booster


@pytest.fixture
def chosen(predictor: Predictor) -> Predictor:
    """The model with the kernel as its evaluator."""
    return choose_evaluator(predictor)


@pytest.fixture
def prepared(chosen: Predictor, version: ModelVersion, model_folder: Path, tmp_path: Path) -> Prepared:
    """The same, kept."""
    write_prepared(chosen, model_folder, tmp_path / "p")
    return Prepared(version, tmp_path / "gone", tmp_path / "p")


@pytest.fixture
def without_xgboost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens XGBoost fails."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("XGBoost was opened")

    monkeypatch.setattr(XGBoostForest, "__init__", refuse)


@pytest.mark.usefixtures("without_xgboost")
def test_it_comes_back_without_xgboost_and_without_the_models_files(prepared: Prepared, chosen: Predictor) -> None:
    """Signature, categories, policies and bits."""
    read = read_prepared(prepared)
    assert isinstance(read.forest, KernelForest)
    assert read.signature == chosen.signature
    assert read_interface(prepared) == Interface(chosen.signature, Scale.PROBABILITY, 1)
    made_anew: dict[str, Any] = {name: getattr(chosen, name) for name in ("forest", "decoder", "answers", "golden")}
    assert replace(read, **made_anew) == chosen
    table = make_table(n_rows=200, seed=3)
    rows = table.assign(carrier=table["carrier"].cat.codes).to_numpy("float32")
    for count in (1, 200):
        np.testing.assert_array_equal(read.forest.margins(rows[:count]), chosen.forest.margins(rows[:count]))
        np.testing.assert_array_equal(read.forest.predictions(rows[:count]), chosen.forest.predictions(rows[:count]))


def test_a_model_that_xgboost_answers_for_is_opened_again(tmp_path: Path, version: ModelVersion) -> None:
    """From its own files, with the reason that it is XGBoost; a wrapper's best round included."""
    table = make_table().drop(columns="carrier").fillna(0)
    parameters = {"booster": "gblinear", "objective": "binary:logistic", "nthread": 1}
    linear = xgboost.train(parameters, xgboost.DMatrix(table, make_target(make_table())), 5)
    folder = ModelFolderBuilder(linear, None, table, with_golden=False, card=None).write(tmp_path / "linear")
    chosen = choose_evaluator(Predictor.load(folder, version))
    write_prepared(chosen, folder, tmp_path / "p")
    prepared = Prepared(version, folder, tmp_path / "p")
    read = read_prepared(prepared)
    assert isinstance(read.forest, XGBoostForest)
    assert read.evaluator == chosen.evaluator
    rows = table.to_numpy("float32")
    np.testing.assert_array_equal(read.forest.predictions(rows), chosen.forest.predictions(rows))

    # A bit of a weight is another model, or one that XGBoost crashes on; it is not opened.
    damaged = bytearray((folder / "model.ubj").read_bytes())
    damaged[-100] ^= 1
    (folder / "model.ubj").write_bytes(damaged)
    with pytest.raises(ModelUnfit, match="is not the file that was verified"):
        read_prepared(prepared)
    assert not prepared.file.exists()  # so that it is prepared anew, from files that are looked at
    (folder / "model.ubj").unlink()
    with pytest.raises(ModelUnfit, match="the booster cannot be read"):
        write_prepared(chosen, folder, tmp_path / "p")


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize(
    "options",
    [{"booster_name": "model.json"}, {"card": None, "inputs": None, "with_golden": False}, {"with_profile": True}],
    ids=["JSON", "bare", "profile"],
)
def test_models_of_every_kind_come_back(tmp_path: Path, version: ModelVersion, options: dict[str, Any]) -> None:
    """Whoever logged them."""
    folder = make_model(**options).write(tmp_path / "m")
    chosen = choose_evaluator(Predictor.load(folder, version))
    write_prepared(chosen, folder, tmp_path / "p")
    read = read_prepared(Prepared(version, tmp_path, tmp_path / "p"))
    assert (read.card, read.profile, read.example, read.objective) == (
        chosen.card,
        chosen.profile,
        chosen.example,
        chosen.objective,
    )


def test_a_wrapper_stops_at_its_best_round(tmp_path: Path, version: ModelVersion) -> None:
    """What is kept is the forest that was compared, without the rounds that do not answer."""
    table = make_table()
    booster = train_booster(table, make_target(table), rounds=9)
    booster.set_attr(best_iteration="4")
    wrapper = ModelFolderBuilder(booster, None, table, model_class="xgboost.sklearn.XGBClassifier", with_golden=False)
    chosen = choose_evaluator(Predictor.load(wrapper.write(tmp_path / "m"), version))
    write_prepared(chosen, tmp_path / "m", tmp_path / "p")
    read = read_prepared(Prepared(version, tmp_path, tmp_path / "p"))
    rows = table.assign(carrier=table["carrier"].cat.codes).to_numpy("float32")
    expected = booster.predict(xgboost.DMatrix(table, enable_categorical=True), iteration_range=(0, 5))
    np.testing.assert_array_equal(read.forest.predictions(rows), expected)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "a bit of a node": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "a bit of the document": lambda content: content.replace(b'"required": true', b'"required": trUe', 1),
    "another document": lambda content: content.replace(b'"required": true', b'"required": null', 1),
    "no document": lambda content: content[:65] + b"[]\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_thrown_away(prepared: Prepared, damage: str) -> None:
    """And never serves."""
    content = prepared.file.read_bytes()
    assert is_whole(prepared.file)
    prepared.file.write_bytes(DAMAGES[damage](content))
    with pytest.raises(ModelUnfit, match="is not whole; it is thrown away"):
        read_prepared(prepared)
    assert not prepared.file.exists()
    assert not is_whole(prepared.file)


def test_what_is_gone_is_said(prepared: Prepared) -> None:
    """Somebody has emptied the cache folder."""
    prepared.file.unlink()
    with pytest.raises(ModelUnfit, match="cannot be read"):
        read_prepared(prepared)


def test_a_predictor_that_answers_otherwise_here_never_serves(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last check, of what will really answer: one bit of one row that is asked alone."""
    predictions = KernelForest.predictions

    def spoiled(self: KernelForest, matrix: Any) -> Any:
        answered = predictions(self, matrix)
        return np.nextafter(answered, np.float32(1)) if len(matrix) == 1 else answered

    monkeypatch.setattr(KernelForest, "predictions", spoiled)
    with pytest.raises(ModelUnfit, match="answers otherwise here than where it was verified"):
        read_prepared(prepared)


def test_nothing_is_left_where_there_is_no_room(chosen: Predictor, model_folder: Path, tmp_path: Path) -> None:
    """The folder is a file, say."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|directory"):
        write_prepared(chosen, model_folder, tmp_path / "file" / "p")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_document_says_what_it_is(prepared: Prepared) -> None:
    """For whoever opens it: a digest, a document, and arrays."""
    digest, document, _ = prepared.file.read_bytes().split(b"\n", 2)
    assert len(digest) == 64
    assert json.loads(document)["evaluator"]["name"].startswith("kernel")
