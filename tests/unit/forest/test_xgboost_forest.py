"""The forest answers exactly as `Booster.predict` does, and opens nothing but XGBoost's own format."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from app.errors import ModelUnfit
from app.forest.kernel_forest import FloatMatrix
from app.forest.xgboost_forest import XGBoostForest
from tests.boosters import ModelFolderBuilder, make_table, make_target, train_booster


def load(booster: xgboost.Booster, path: Path, *, stops_at_best_iteration: bool = False) -> XGBoostForest:
    """Save and load a booster."""
    booster.save_model(path)
    return XGBoostForest(path, stops_at_best_iteration=stops_at_best_iteration)


def to_matrix(table: pd.DataFrame) -> FloatMatrix:
    """The table as the codec would give it."""
    codes = table["carrier"].cat.codes.to_numpy("float32")
    return table.assign(carrier=np.where(codes < 0, np.nan, codes)).to_numpy("float32")


@pytest.mark.parametrize("suffix", ["ubj", "json"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"booster": "dart", "rate_drop": 0.3},
        {"objective": "reg:squarederror"},
        {"objective": "count:poisson"},
        {"objective": "multi:softprob", "num_class": 3},
        {"objective": "multi:softmax", "num_class": 3},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"max_cat_to_onehot": 1, "grow_policy": "lossguide", "max_leaves": 6},
    ],
    ids=str,
)
def test_answers_are_those_of_predict(tmp_path: Path, parameters: dict[str, Any], suffix: str) -> None:
    """Whatever the objective, margins and predictions are XGBoost's own, missing values and all."""
    table = make_table()
    target = make_target(table) + (table["hour"] > 12 if "num_class" in parameters else 0)
    booster = train_booster(table, np.asarray(target), parameters)
    table.loc[:10, "carrier"] = np.nan
    data = xgboost.DMatrix(table, enable_categorical=True)
    forest = load(booster, tmp_path / f"model.{suffix}")
    for rows in (slice(None), slice(0, 1)):
        matrix = to_matrix(table)[rows]
        np.testing.assert_array_equal(forest.predictions(matrix), booster.predict(data)[rows])
        np.testing.assert_array_equal(forest.margins(matrix), booster.predict(data, output_margin=True)[rows])
    assert forest.predictions(to_matrix(table)).dtype == np.float32


@pytest.mark.parametrize("names", [["a", "b", "c"], None], ids=["named", "unnamed"])
def test_a_linear_booster_answers_too(tmp_path: Path, names: list[str] | None) -> None:
    """XGBoost cannot predict gblinear in place, so it takes the way over a `DMatrix`."""
    matrix = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    data = xgboost.DMatrix(matrix, matrix.sum(axis=1) > 0, feature_names=names)
    booster = xgboost.train({"booster": "gblinear", "objective": "binary:logistic", "nthread": 1}, data, 5)
    forest = load(booster, tmp_path / "model.ubj")
    np.testing.assert_array_equal(forest.predictions(matrix), booster.predict(data))
    np.testing.assert_array_equal(forest.margins(matrix), booster.predict(data, output_margin=True))
    assert forest.predictions(matrix[:1]).shape == (1,)


def test_a_wrapper_stops_at_the_best_iteration_and_a_plain_booster_does_not(tmp_path: Path) -> None:
    """The same file answers as the class that was logged would have answered."""
    table = make_table()
    data = xgboost.DMatrix(table, make_target(table), enable_categorical=True)
    other = make_table(seed=1)
    noise = xgboost.DMatrix(other, np.random.default_rng(2).integers(0, 2, len(other)), enable_categorical=True)
    parameters = {"objective": "binary:logistic", "max_depth": 6, "nthread": 1}
    stopping: dict[str, Any] = {"early_stopping_rounds": 5, "evals": [(noise, "n")], "verbose_eval": False}
    booster = xgboost.train(parameters, data, 30, **stopping)
    best = booster.best_iteration
    assert best + 1 < booster.num_boosted_rounds()

    matrix = to_matrix(table)
    plain = load(booster, tmp_path / "plain.ubj").predictions(matrix)
    wrapper = load(booster, tmp_path / "wrapper.ubj", stops_at_best_iteration=True).predictions(matrix)
    np.testing.assert_array_equal(plain, booster.predict(data, iteration_range=(0, booster.num_boosted_rounds())))
    np.testing.assert_array_equal(wrapper, booster.predict(data, iteration_range=(0, best + 1)))
    assert not np.array_equal(plain, wrapper)


def test_a_wrapper_without_early_stopping_uses_every_round(model: ModelFolderBuilder, tmp_path: Path) -> None:
    """There is no best iteration to stop at."""
    forest = load(model.booster, tmp_path / "model.ubj", stops_at_best_iteration=True)
    data = xgboost.DMatrix(model.table, enable_categorical=True)
    np.testing.assert_array_equal(forest.predictions(to_matrix(model.table)), model.booster.predict(data))


def test_a_best_iteration_beyond_the_last_round_is_refused(model: ModelFolderBuilder, tmp_path: Path) -> None:
    """A changed attribute must stop the load, not every request."""
    booster = model.booster.copy()
    booster.set_attr(best_iteration="50")
    with pytest.raises(ModelUnfit, match="best iteration"):
        load(booster, tmp_path / "model.ubj", stops_at_best_iteration=True)


def test_threads_may_ask_at_once(model: ModelFolderBuilder, tmp_path: Path) -> None:
    """Large bodies are answered in threads, all with one forest."""
    forest = load(model.booster, tmp_path / "model.ubj")
    matrix = to_matrix(model.table)
    expected = forest.predictions(matrix)
    with ThreadPoolExecutor(4) as threads:
        for answer in threads.map(forest.predictions, [matrix] * 40):
            np.testing.assert_array_equal(answer, expected)


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._trace,)


@pytest.mark.parametrize("name", ["model.pkl", "model.ubj", "model.json", "model.joblib", "model.cloudpickle"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_unread_whatever_it_is_called(tmp_path: Path, name: str, protocol: int) -> None:
    """Opening one runs any code that its writer likes."""
    trace = tmp_path / "trace"
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(trace), protocol))
    with pytest.raises(ModelUnfit, match="log the model again") as caught:
        XGBoostForest(tmp_path / name, stops_at_best_iteration=False)
    assert not trace.exists()
    assert protocol == 0 or "is a pickle" in str(caught.value)


@pytest.mark.parametrize("name", ["model.xgb", "model.bin", "model", "model.onnx"])
def test_only_xgboosts_own_suffixes_are_opened(model: ModelFolderBuilder, tmp_path: Path, name: str) -> None:
    """XGBoost tells its formats apart by the name, so another name is not tried."""
    (tmp_path / name).write_bytes(bytes(model.booster.save_raw("ubj")))
    with pytest.raises(ModelUnfit, match=r"not in XGBoost's own format \(\.ubj or \.json\)"):
        XGBoostForest(tmp_path / name, stops_at_best_iteration=False)


@pytest.mark.parametrize("content", [b"", b"binf\0\0", b"hello", b"{", b"{}", b'{"a": 1}', b"{\xff\xfe"], ids=repr)
@pytest.mark.parametrize("name", ["model.ubj", "model.json"])
def test_a_file_that_is_no_booster_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """Whatever stands in it, the text names the file."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnfit, match=name):
        XGBoostForest(tmp_path / name, stops_at_best_iteration=False)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["ubj", "json"])
def test_a_cut_booster_is_refused(model: ModelFolderBuilder, tmp_path: Path, kind: str, share: float) -> None:
    """A copy that ended early is told as such, and never filled up with what happens to stand in memory."""
    raw = bytes(model.booster.save_raw(kind))
    (tmp_path / f"model.{kind}").write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(
        ModelUnfit, match="is no whole booster: it ends early" if kind == "ubj" else "is the file whole"
    ):
        XGBoostForest(tmp_path / f"model.{kind}", stops_at_best_iteration=False)


@pytest.mark.parametrize("kind", ["ubj", "json"])
def test_a_booster_whose_text_is_no_text_is_refused(model: ModelFolderBuilder, tmp_path: Path, kind: str) -> None:
    """XGBoost quotes the bytes of a corrupt file in its message, which is then no text either."""
    raw = bytes(model.booster.save_raw(kind))
    (tmp_path / f"model.{kind}").write_bytes(raw.replace(b"gbtree", b"gb\x94ree"))
    with pytest.raises(ModelUnfit, match="not UTF-8" if kind == "ubj" else "is the file whole"):
        XGBoostForest(tmp_path / f"model.{kind}", stops_at_best_iteration=False)


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_booster_that_cannot_be_read_is_refused(tmp_path: Path, is_folder: bool) -> None:
    """It is missing, or a folder stands in its place."""
    if is_folder:
        (tmp_path / "model.ubj").mkdir()
    with pytest.raises(ModelUnfit, match=r"model\.ubj cannot be read"):
        XGBoostForest(tmp_path / "model.ubj", stops_at_best_iteration=False)


def test_xgboost_prints_nothing(model: ModelFolderBuilder, tmp_path: Path) -> None:
    """The standard streams are the log's: a line that is no JSON would be lost on its reader."""
    raw = bytes(model.booster.save_raw("json"))
    old = json.loads(raw) | {"version": [1, 4, 0]}  # of which XGBoost warns
    (tmp_path / "old.json").write_text(json.dumps(old))
    (tmp_path / "cut.json").write_bytes(raw[:2000])
    code = (
        "import pathlib, sys; from app.processes import hide_unneeded_libraries as hide; hide()\n"  # saves seconds
        "from app.errors import ModelUnfit; from app.forest.xgboost_forest import XGBoostForest\n"
        "for path in sys.argv[1:]:\n"
        "    try: XGBoostForest(pathlib.Path(path), stops_at_best_iteration=True)\n"
        "    except ModelUnfit: print('refused')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "old.json"), str(tmp_path / "cut.json")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("refused\n", "")


def test_xgboost_answers_the_same_without_scipy_and_scikit_learn(tmp_path: Path) -> None:
    """The image holds neither: in place and by DMatrix, with categories and missing values."""
    table = make_table()
    matrix = to_matrix(table)
    np.save(tmp_path / "matrix.npy", matrix)
    expected = {}
    for kind in ("gbtree", "gblinear", "dart"):
        path = tmp_path / f"{kind}.ubj"
        if kind == "gblinear":
            xgboost.train({"booster": kind}, xgboost.DMatrix(matrix[:, 1:], make_target(table)), 4).save_model(path)
        else:
            train_booster(table, make_target(table), {"booster": kind}).save_model(path)
        rows = matrix[:, 1:] if kind == "gblinear" else matrix
        expected[kind] = XGBoostForest(path, stops_at_best_iteration=True).predictions(rows).tobytes().hex()
    code = (
        "import json, pathlib, sys; from app.processes import hide_unneeded_libraries as hide; hide()\n"
        "import numpy; from app.forest.xgboost_forest import XGBoostForest\n"
        "folder = pathlib.Path(sys.argv[1]); matrix = numpy.load(folder / 'matrix.npy'); answers = {}\n"
        "for path in folder.glob('*.ubj'):\n"
        "    rows = matrix[:, 1:].copy() if path.stem == 'gblinear' else matrix\n"
        "    forest = XGBoostForest(path, stops_at_best_iteration=True)\n"
        "    answers[path.stem] = forest.predictions(rows).tobytes().hex()\n"
        "real = [name for name in ('scipy', 'sklearn') if getattr(sys.modules.get(name), '__file__', None)]\n"
        "print(json.dumps([answers, real]))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [expected, []]
