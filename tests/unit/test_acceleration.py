"""Who answers for how many rows, and what happens when there is no GPU, a slow one, a wrong one or one that fails."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import pytest

from app import acceleration
from app.acceleration import Accelerator, SharedForest
from app.errors import ModelError
from app.forest import cuda_forest
from app.forest.cuda_driver import CudaFailed
from app.forest.kernel_forest import FloatMatrix
from app.forest.packing import NotCovered
from app.forest.xgboost_forest import XGBoostForest
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.settings import SettingsInvalid
from tests.boosters import ModelFolderBuilder


class FakeGpu:
    """A GPU by its name alone."""

    name = "Fake GPU"


class FakeForest(XGBoostForest):
    """Answers as the processor does, or as wrongly as a test wants."""

    error = 0.0
    failure: Exception | None = None

    def __init__(self, path: Path, *, stops_at_best_iteration: bool, gpu: FakeGpu) -> None:
        super().__init__(path, stops_at_best_iteration=stops_at_best_iteration)
        self.asked: list[int] = []

    def _answer(self, matrix: FloatMatrix, kind: str) -> FloatMatrix:
        if self.failure is not None:
            raise self.failure
        self.asked.append(len(matrix))
        return super()._answer(matrix, kind) + np.float32(self.error)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> type[FakeForest]:
    """A machine with a GPU; the class of what it evaluates, to be changed."""
    forest = type("Forest", (FakeForest,), {})
    monkeypatch.setattr(acceleration, "Gpu", FakeGpu)
    monkeypatch.setattr(cuda_forest, "CudaForest", forest)
    return forest


@pytest.fixture
def folder(model: ModelFolderBuilder, tmp_path: Path) -> Path:
    """The model's files."""
    return model.write(tmp_path / "model")


@pytest.fixture
def predictor(folder: Path) -> Predictor:
    """Loaded, with XGBoost on the processor."""
    version = ModelVersion("model", "1", None, None, str(folder), is_immutable=False)
    return Predictor.load(folder, version)


def rows(n_rows: int) -> FloatMatrix:
    """Some of the model's."""
    return np.zeros((n_rows, 4), np.float32)


def test_without_a_gpu_nothing_changes(
    predictor: Predictor, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By default; and where one was asked for, nothing starts."""

    def no_gpu() -> None:
        raise CudaFailed("there is none")

    monkeypatch.setattr(acceleration, "Gpu", no_gpu)
    with caplog.at_level(logging.INFO):
        assert Accelerator("auto")(predictor, folder) is predictor
    assert "the processor answers: there is none" in caplog.text
    with pytest.raises(SettingsInvalid, match=r"TREESERVE_DEVICE is cuda, and there is none; .*auto or cpu"):
        Accelerator("cuda")


def test_with_the_processor_alone_no_gpu_is_looked_for(
    predictor: Predictor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have it all."""
    monkeypatch.setattr(acceleration, "Gpu", None)
    assert Accelerator("cpu")(predictor, folder) is predictor


def test_a_gpu_that_is_demanded_answers_every_row(gpu: type[FakeForest], predictor: Predictor, folder: Path) -> None:
    """And none of them on the event loop."""
    accelerated = Accelerator("cuda")(predictor, folder)
    assert isinstance(accelerated.forest, SharedForest)
    assert (accelerated.forest.from_rows, accelerated.forest.n_quick_rows) == (1, 0)
    assert accelerated.evaluator.name == "xgboost; Fake GPU from 1 rows on"
    assert accelerated.forest.predictions(rows(1)) == predictor.forest.predictions(rows(1))


def test_a_gpu_answers_from_where_it_is_quicker_on(
    gpu: type[FakeForest], predictor: Predictor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was measured; below that it is not asked."""
    times = {1_000: (5, 1), 4_000: (4, 2), 16_000: (3, 4)}  # of the GPU, of the processor
    monkeypatch.setattr(
        acceleration, "_time", lambda predict, some: times[len(some)][0 if predict.__self__.__class__ is gpu else 1]
    )
    forest = Accelerator("auto")(predictor, folder).forest
    assert isinstance(forest, SharedForest)
    assert forest.from_rows == 16_000
    on_gpu = forest._gpu
    assert isinstance(on_gpu, FakeForest)
    on_gpu.asked.clear()
    forest.predictions(rows(15_999))
    assert on_gpu.asked == []
    forest.margins(rows(16_000))
    assert on_gpu.asked == [16_000]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"error": 0.01}, "it does not predict what the processor does"),
        ({"failure": CudaFailed("out of memory")}, "out of memory"),
        ({"failure": NotCovered("dart")}, "dart"),
    ],
    ids=["wrong", "failing", "not covered"],
)
def test_a_gpu_that_cannot_be_trusted_does_not_answer(
    gpu: type[FakeForest],
    predictor: Predictor,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, object],
    why: str,
) -> None:
    """Where the choice is the service's own, the processor answers, and the log says why; else it is refused."""
    for name, value in change.items():
        setattr(gpu, name, value)
    with caplog.at_level(logging.WARNING):
        assert Accelerator("auto")(predictor, folder) is predictor
    assert f"Fake GPU does not answer for model version 1: {why}" in caplog.text
    with pytest.raises(ModelError, match=f"{why}; set it to auto or cpu"):
        Accelerator("cuda")(predictor, folder)


def test_a_gpu_that_is_slower_whatever_the_number_of_rows_does_not_answer(
    gpu: type[FakeForest], predictor: Predictor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small forest, and a processor with many cores."""
    monkeypatch.setattr(acceleration, "_time", lambda predict, _: predict.__self__.__class__ is gpu)
    assert Accelerator("auto")(predictor, folder) is predictor


def test_a_gpu_that_fails_later_is_left_alone(
    gpu: type[FakeForest], predictor: Predictor, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody's request fails, and the log says it once."""
    forest = Accelerator("cuda")(predictor, folder).forest
    gpu.failure = CudaFailed("the GPU has fallen off the bus")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert forest.predictions(rows(2)).tolist() == predictor.forest.predictions(rows(2)).tolist()
    assert len(caplog.records) == 1
    assert "fallen off the bus" in caplog.text


def test_times_are_the_best_of_some() -> None:
    """What else the machine does is not the forest's."""
    waits = iter([0.05, 0.0, 0.05])

    def predict(matrix: FloatMatrix) -> FloatMatrix:
        time.sleep(next(waits))
        return matrix

    assert acceleration._time(predict, rows(1)) < 0.03
