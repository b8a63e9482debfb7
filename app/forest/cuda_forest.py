"""XGBoost on a GPU as the evaluator of many rows: straight from the GPU's memory, without a matrix of XGBoost's own."""

from __future__ import annotations

import ctypes
import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from app.forest.cuda_driver import CudaFailed, Gpu
from app.forest.kernel_forest import FloatMatrix
from app.forest.packing import NotCovered
from app.forest.xgboost_forest import XGBoostForest

_KINDS = {"value": 0, "margin": 1}  # as XGBoost's C API numbers them


class CudaForest(XGBoostForest):
    """
    One loaded booster on a GPU; safe to call from several threads, of which one computes at a time.

    XGBoost adds up the trees of a row in another order there, so that the last bits may differ from `XGBoostForest`'s.
    """

    def __init__(self, path: Path, *, stops_at_best_iteration: bool, gpu: Gpu) -> None:
        """
        Load a booster.

        Parameters
        ----------
        path, stops_at_best_iteration
            As `XGBoostForest` takes them.
        gpu : Gpu

        Raises
        ------
        ModelUnfit
            As `XGBoostForest`.
        NotCovered
            If XGBoost cannot predict it from a GPU's memory, or has no CUDA.
        """
        super().__init__(path, stops_at_best_iteration=stops_at_best_iteration)
        if self.document.booster != "gbtree":
            raise NotCovered(f"XGBoost predicts {self.document.booster} on the CPU alone")
        if not has_cuda():
            raise NotCovered(
                f"XGBoost {xgboost.__version__} is built without CUDA; take the image built with DEVICE=cuda"
            )
        self.n_quick_rows = 0  # it may have to wait for another thread's rows
        self._gpu = gpu
        self._lock = threading.Lock()
        with xgboost.config_context(verbosity=0):
            self._booster.set_param({"device": "cuda:0"})

    def _answer(self, matrix: FloatMatrix, kind: str) -> FloatMatrix:
        rows = np.ascontiguousarray(matrix, np.float32)
        config = {
            "type": _KINDS[kind], "training": False, "iteration_begin": 0, "iteration_end": self.n_rounds or 0,
            "missing": float("nan"), "strict_shape": False, "cache_id": 0,
        }  # fmt: skip
        with self._lock, self._gpu.upload(rows) as place:
            array = {"data": [place, True], "shape": rows.shape, "typestr": "<f4", "strides": None, "version": 3}
            shape, n_dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
            answers = ctypes.POINTER(ctypes.c_float)()
            status = _predict(
                self._booster.handle, json.dumps(array).encode(), json.dumps(config).encode(), None,
                ctypes.byref(shape), ctypes.byref(n_dimensions), ctypes.byref(answers),
            )  # fmt: skip
            if status:
                told = xgboost.core._LIB.XGBGetLastError().decode(errors="replace").splitlines()
                raise CudaFailed(f"XGBoost: {told[0] if told else 'no message'}")
            found = tuple(shape[i] for i in range(n_dimensions.value))
            at = ctypes.cast(answers, ctypes.c_void_p).value or 0
            return self._gpu.download(at, math.prod(found)).reshape(found)


def has_cuda() -> bool:
    """Whether this XGBoost can compute on GPUs: the one called ``xgboost`` can, ``xgboost-cpu`` cannot."""
    return bool(xgboost.build_info().get("USE_CUDA"))


def _predict(*arguments: Any) -> int:
    """
    Predict rows in the GPU's memory, into it.

    Booster's own method does it for CuPy's arrays alone, and CuPy is larger than all of the service.
    """
    status: int = xgboost.core._LIB.XGBoosterPredictFromCudaArray(*arguments)
    return status
