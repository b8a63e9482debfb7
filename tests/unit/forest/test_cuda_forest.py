"""
Rows go to a GPU and predictions come back, with a library that stands in for NVIDIA's driver.

What a real GPU answers is not tried here: XGBoost computes on the processor, from what stands in for a GPU's memory.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from app.forest import cuda_driver, cuda_forest
from app.forest.cuda_driver import CudaFailed, Gpu
from app.forest.cuda_forest import CudaForest
from app.forest.packing import NotCovered
from app.forest.xgboost_forest import XGBoostForest
from tests.boosters import make_table, make_target, train_booster
from tests.unit.forest.test_xgboost_forest import to_matrix

# XGBoost is told of a GPU, and looks for one itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*couldn't find any available GPU")

SOURCE = Path(__file__).with_name("fake_cuda.c")


def build(folder: Path, *options: str) -> Path:
    """The library, compiled."""
    library = folder / "libcuda.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", *options, "-o", str(library), str(SOURCE)], check=True)
    return library


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ctypes.CDLL]:
    """NVIDIA's, as far as can be seen from here; in the end all that was taken of its memory is given back."""
    library = build(tmp_path)
    monkeypatch.setattr(cuda_driver, "_LIBRARY", str(library))
    monkeypatch.setattr(cuda_forest, "has_cuda", lambda: True)
    monkeypatch.setattr(cuda_forest, "_predict", xgboost.core._LIB.XGBoosterPredictFromDense)
    loaded = ctypes.CDLL(str(library))
    yield loaded
    assert loaded.fake_n_allocated() == 0


def load(path: Path, kind: type[XGBoostForest] = XGBoostForest, **options: Any) -> XGBoostForest:
    """A forest of a file."""
    return kind(path, stops_at_best_iteration=False, **options)


@pytest.mark.parametrize(
    "parameters", [{}, {"objective": "multi:softprob", "num_class": 3}, {"objective": "reg:squarederror"}], ids=str
)
def test_predictions_are_those_of_the_rows_in_its_memory(
    driver: ctypes.CDLL, tmp_path: Path, parameters: dict[str, Any]
) -> None:
    """Of every kind and shape, one row and many."""
    table = make_table()
    target = make_target(table) + (table["hour"] > 12 if "num_class" in parameters else 0)
    train_booster(table, np.asarray(target), parameters).save_model(tmp_path / "model.ubj")
    expected, found = load(tmp_path / "model.ubj"), load(tmp_path / "model.ubj", CudaForest, gpu=Gpu())
    for rows in (to_matrix(table), to_matrix(table)[:1], to_matrix(table)[:, ::-1].copy()[:, ::-1]):
        assert found.predictions(rows).tobytes() == expected.predictions(rows).tobytes()
        assert found.margins(rows).shape == expected.margins(rows).shape
        assert found.margins(rows).tobytes() == expected.margins(rows).tobytes()
    assert found.n_quick_rows == 0


def test_memory_that_runs_out_is_told(driver: ctypes.CDLL, tmp_path: Path) -> None:
    """In the driver's words; the next rows that fit are answered."""
    table = make_table()
    train_booster(table, make_target(table)).save_model(tmp_path / "model.ubj")
    forest = load(tmp_path / "model.ubj", CudaForest, gpu=Gpu())
    driver.fake_limit(ctypes.c_size_t(1000))
    with pytest.raises(CudaFailed, match=r"cuMemAlloc_v2: out of memory \(2\)"):
        forest.predictions(to_matrix(table))
    assert len(forest.predictions(to_matrix(table)[:5])) == 5


def test_what_xgboost_says_of_a_failure_is_told(
    driver: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of it."""
    table = make_table()
    train_booster(table, make_target(table)).save_model(tmp_path / "model.ubj")
    forest = load(tmp_path / "model.ubj", CudaForest, gpu=Gpu())
    monkeypatch.setattr(cuda_forest, "_predict", xgboost.core._LIB.XGBoosterPredictFromCudaArray)
    with pytest.raises(CudaFailed, match="not compiled with GPU support"):
        forest.predictions(to_matrix(table))


@pytest.mark.parametrize("booster", ["gblinear", "dart"])
def test_what_xgboost_predicts_from_a_matrix_of_its_own_stays_on_the_processor(
    driver: ctypes.CDLL, tmp_path: Path, booster: str
) -> None:
    """It would be copied there and back for nothing."""
    data = xgboost.DMatrix(np.arange(20, dtype=np.float32).reshape(-1, 1), np.arange(20))
    xgboost.train({"booster": booster}, data, 2).save_model(tmp_path / "model.ubj")
    with pytest.raises(NotCovered, match=booster):
        load(tmp_path / "model.ubj", CudaForest, gpu=Gpu())


def test_an_xgboost_without_cuda_is_told(driver: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to take instead."""
    table = make_table()
    train_booster(table, make_target(table)).save_model(tmp_path / "model.ubj")
    monkeypatch.setattr(cuda_forest, "has_cuda", lambda: bool(xgboost.build_info()["USE_CUDA"]))
    with pytest.raises(NotCovered, match=r"without CUDA; .*DEVICE=cuda"):
        load(tmp_path / "model.ubj", CudaForest, gpu=Gpu())


def test_a_machine_without_a_driver_or_a_gpu_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in its own words."""
    monkeypatch.setattr(cuda_driver, "_LIBRARY", str(tmp_path / "none"))
    with pytest.raises(CudaFailed, match="there is no NVIDIA driver"):
        Gpu()
    monkeypatch.setattr(cuda_driver, "_LIBRARY", str(build(tmp_path, "-DN_GPUS=0")))
    with pytest.raises(CudaFailed, match="finds no GPU"):
        Gpu()
