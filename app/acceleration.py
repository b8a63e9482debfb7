"""
Which rows a GPU answers for, and which the processor.

To ask a GPU takes time in itself, in which the kernel has walked a small request's rows already. From how many rows on
it is worth it depends on the forest and on the machine, and is measured when a model version is loaded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from app.errors import ModelError
from app.forest.boundary_rows import draw_boundary_rows
from app.forest.cuda_driver import CudaFailed, Gpu
from app.forest.document import read_learner
from app.forest.kernel_forest import FloatMatrix
from app.forest.learner import find_trees
from app.forest.packing import NotCovered
from app.mlmodel import read_model_folder
from app.predictor import Forest, Predictor
from app.settings import Device, SettingsInvalid

Accelerate = Callable[[Predictor, Path], Predictor]

log = logging.getLogger(__name__)

_N_COMPARED_ROWS = 2_000
_SIZES = (1_000, 4_000, 16_000, 64_000, 256_000)
_MOST_VALUES = 16_000_000  # 64 MB, and a second copy for a moment
_N_TIMES = 3
# The order in which leaves are added up differs: float32 sums of some thousand of them agree to about so much.
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5


class GpuForest(Protocol):
    """What `CudaForest` is."""

    def margins(self, matrix: FloatMatrix) -> FloatMatrix:
        """Sums of the leaves."""

    def predictions(self, matrix: FloatMatrix) -> FloatMatrix:
        """The objective's transform of them."""


class SharedForest:
    """
    A forest that a GPU evaluates for many rows at once, and the processor for few, or where the GPU fails.

    Attributes
    ----------
    from_rows : int
        From so many rows on the GPU answers.
    n_quick_rows : int
        As `Forest` has it.
    """

    def __init__(self, host: Forest, gpu: GpuForest, from_rows: int) -> None:
        """
        Share the work.

        Parameters
        ----------
        host, gpu, from_rows
        """
        self._host = host
        self._gpu: GpuForest | None = gpu
        self.from_rows = from_rows
        self.n_quick_rows = min(host.n_quick_rows, from_rows - 1)

    def margins(self, matrix: FloatMatrix) -> FloatMatrix:
        """As `Forest.margins`."""
        return self._answer(matrix, lambda forest: forest.margins(matrix))

    def predictions(self, matrix: FloatMatrix) -> FloatMatrix:
        """As `Forest.predictions`."""
        return self._answer(matrix, lambda forest: forest.predictions(matrix))

    def _answer(self, matrix: FloatMatrix, ask: Callable[[GpuForest], FloatMatrix]) -> FloatMatrix:
        gpu = self._gpu  # another thread may find that it fails
        if gpu is not None and len(matrix) >= self.from_rows:
            try:
                return ask(gpu)
            except CudaFailed as error:
                self._gpu = None  # it is tried again with the next model version
                log.error("the GPU has failed (%s): the processor answers from now on", error)
        return ask(self._host)


class Accelerator:
    """Gives loaded predictors to the GPU where one shall be used; one for all model versions of a process."""

    def __init__(self, device: Device) -> None:
        """
        Look for a GPU.

        Parameters
        ----------
        device : Device
            As `Settings.device`.

        Raises
        ------
        SettingsInvalid
            If there has to be one, and there is none.
        """
        self._is_demanded = device == "cuda"
        self._gpu: Gpu | None = None
        if device == "cpu":
            return
        try:
            self._gpu = Gpu()
        except CudaFailed as error:
            if self._is_demanded:
                raise SettingsInvalid(
                    f"TREESERVE_DEVICE is cuda, and {error}; run where a GPU is, or set it to auto or cpu"
                ) from None
            log.info("the processor answers: %s", error)

    def __call__(self, predictor: Predictor, folder: Path) -> Predictor:
        """
        The predictor, evaluated by the GPU for as many rows as are worth it.

        Parameters
        ----------
        predictor : Predictor
            One that may serve.
        folder : pathlib.Path
            Its model's own.

        Raises
        ------
        ModelError
            If the GPU has to answer and cannot.
        """
        if self._gpu is None:
            return predictor
        try:
            shared = _share(predictor, folder, self._gpu, 1 if self._is_demanded else None)
        except (CudaFailed, NotCovered) as error:
            if self._is_demanded:
                raise ModelError(
                    f"TREESERVE_DEVICE is cuda, and {self._gpu.name} cannot answer for {predictor.version}: {error}; "
                    "set it to auto or cpu"
                ) from None
            log.warning("%s does not answer for %s: %s", self._gpu.name, predictor.version, error)
            return predictor
        name = f"{predictor.evaluator.name}; {self._gpu.name} from {shared.from_rows} rows on"
        return replace(predictor, forest=shared, evaluator=replace(predictor.evaluator, name=name))


def _share(predictor: Predictor, folder: Path, gpu: Gpu, from_rows: int | None) -> SharedForest:
    """Let the GPU answer from so many rows on, or from as many as it is found to be quicker with."""
    from app.forest.cuda_forest import CudaForest  # only where there is a GPU: it imports XGBoost

    files = read_model_folder(folder)
    on_gpu = CudaForest(files.booster, stops_at_best_iteration=files.is_scikit_learn_wrapper, gpu=gpu)
    trees = find_trees(read_learner(on_gpu.raw()))
    rows = draw_boundary_rows(trees, predictor.signature.n_features, _N_COMPARED_ROWS)
    host = predictor.forest
    for expected, found in (
        (host.margins(rows), on_gpu.margins(rows)),
        (host.predictions(rows), on_gpu.predictions(rows)),
    ):
        if expected.shape != found.shape or not np.allclose(expected, found, _RELATIVE, _ABSOLUTE, equal_nan=True):
            raise NotCovered("it does not predict what the processor does")
    if from_rows is None:
        from_rows = _find_crossover(host, on_gpu, rows)
    return SharedForest(host, on_gpu, from_rows)


def _find_crossover(host: Forest, on_gpu: GpuForest, rows: FloatMatrix) -> int:
    """From how many rows on the GPU takes less time; raises `NotCovered` if it never does."""
    for n_rows in _SIZES:
        if n_rows * rows.shape[1] > _MOST_VALUES:
            break
        some = np.resize(rows, (n_rows, rows.shape[1]))
        if _time(on_gpu.predictions, some) < _time(host.predictions, some):
            return n_rows
    raise NotCovered("it takes longer than the processor, whatever the number of rows")


def _time(predict: Callable[[FloatMatrix], FloatMatrix], rows: FloatMatrix) -> float:
    """How long it takes at best, in seconds: what else the machine does only ever adds to it."""
    taken = []
    for _ in range(_N_TIMES):
        began = time.perf_counter()
        predict(rows)
        taken.append(time.perf_counter() - began)
    return min(taken)
