"""
How long forests take on a GPU beside the kernel on all cores: ``python -m benchmarks gpu``.

It needs a GPU and an XGBoost with CUDA (``requirements/cuda.txt``).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xgboost

from app.cores import available_cores
from app.forest.cuda_driver import Gpu
from app.forest.cuda_forest import CudaForest
from app.forest.document import read_learner
from app.forest.kernel_forest import FloatMatrix, KernelForest
from benchmarks.evaluators import make_rows, train_forest
from benchmarks.report import format_number, format_table

N_TREES = (200, 1_000)
N_ROWS = (1, 1_000, 100_000, 1_000_000)
_N_TURNS = 7


def measure(n_rows: tuple[int, ...] = N_ROWS, n_trees: tuple[int, ...] = N_TREES) -> str:
    """
    Time both in turns.

    Parameters
    ----------
    n_rows, n_trees : tuple of int

    Returns
    -------
    str
        A table in Markdown, with medians, the rows per second of the GPU and the greatest difference of a prediction.

    Raises
    ------
    CudaFailed, NotCovered
        If there is no GPU, or XGBoost cannot use it.
    """
    gpu = Gpu()
    found = []
    rows = make_rows()
    for count in n_trees:
        kernel, on_gpu = _make_forests(rows, count, gpu)
        for n in n_rows:
            some = np.resize(rows, (n, rows.shape[1]))
            difference = float(np.abs(kernel.predictions(some) - on_gpu.predictions(some)).max())
            turns = [[_time(forest.predictions, some) for forest in (kernel, on_gpu)] for _ in range(_N_TURNS)]
            ours, theirs = (statistics.median(times) for times in zip(*turns, strict=True))
            times = [
                f"{ours * 1e3:.3f} ms",
                f"{theirs * 1e3:.3f} ms",
                f"{n / theirs:,.0f}",
                format_number(ours / theirs),
            ]
            found.append([str(count), f"{n:,}", *times, f"{difference:.1e}"])
    header = ["trees", "rows", "kernel", "GPU", "rows/s on the GPU", "times as quick", "greatest difference"]
    machine = f"{gpu.name} beside {available_cores()} cores, XGBoost {xgboost.__version__}"
    return f"{machine}; medians of {_N_TURNS} turns.\n\n{format_table(header, found)}"


def _make_forests(rows: FloatMatrix, n_trees: int, gpu: Gpu) -> tuple[KernelForest, CudaForest]:
    booster = train_forest(rows, n_trees)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.ubj"
        booster.save_model(file)
        on_gpu = CudaForest(file, stops_at_best_iteration=False, gpu=gpu)
    return KernelForest.of_learner(read_learner(bytes(booster.save_raw("ubj"))), n_rounds=None), on_gpu


def _time(predict: Callable[[FloatMatrix], FloatMatrix], rows: FloatMatrix) -> float:
    began = time.perf_counter()
    predict(rows)
    return time.perf_counter() - began
