"""What evaluates a forest in one thread: the kernel, XGBoost itself, and those that take XGBoost's models."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xgboost

from app.forest.document import read_learner
from app.forest.kernel_forest import FloatMatrix, KernelForest

# From rows, shape (n_rows, n_features), to probabilities, shape (n_rows,).
Evaluate = Callable[[FloatMatrix], npt.NDArray[np.floating]]

N_FEATURES = 15
KERNEL, XGBOOST = "kernel", "XGBoost"
# gcc takes minutes for a thousand trees.
_MOST_COMPILED_TREES = 200
_TREES_A_SOURCE_FILE = 2  # gcc's time grows faster than a file's length


class LeftOut(Exception):
    """An evaluator is not tried with a forest; the text says why."""


def make_rows(n_rows: int = 12_000) -> FloatMatrix:
    """Normal numbers, a twentieth of them missing."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_rows, N_FEATURES)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.05] = np.nan  # noqa: PLR2004
    return rows


def train_forest(rows: FloatMatrix, n_trees: int) -> xgboost.Booster:
    """Trees of depth 8, as full as they get; it predicts in one thread."""
    rng = np.random.default_rng(1)
    target = np.nan_to_num(rows) @ rng.normal(size=N_FEATURES) + rng.normal(size=len(rows)) * 2 > 0
    given = {"max_depth": 8, "eta": 0.05, "min_child_weight": 0, "objective": "binary:logistic", "nthread": 1}
    return xgboost.train(given, xgboost.DMatrix(rows, target, nthread=1), n_trees)


def _make_kernel(booster: xgboost.Booster) -> Evaluate:
    return KernelForest.of_learner(read_learner(bytes(booster.save_raw("ubj"))), n_rounds=None).predictions


def _make_xgboost(booster: xgboost.Booster) -> Evaluate:
    return partial(booster.inplace_predict, validate_features=False)


def _make_treelite(booster: xgboost.Booster) -> Evaluate:
    import treelite

    model = treelite.frontend.from_xgboost(booster)
    return lambda rows: treelite.gtil.predict(model, rows, nthread=1).reshape(-1)


def _make_tl2cgen(booster: xgboost.Booster) -> Evaluate:
    import tl2cgen
    import treelite

    n_trees = booster.num_boosted_rounds()
    if n_trees > _MOST_COMPILED_TREES:
        raise LeftOut(f"compiling {n_trees:,} trees takes minutes")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "forest.so"
        tl2cgen.export_lib(
            treelite.frontend.from_xgboost(booster),
            toolchain="gcc",
            libpath=library,
            params={"parallel_comp": n_trees // _TREES_A_SOURCE_FILE},
        )
        predictor = tl2cgen.Predictor(library, nthread=1)
    return lambda rows: predictor.predict(tl2cgen.DMatrix(rows, dtype="float32")).reshape(-1)


def _make_onnx(booster: xgboost.Booster) -> Evaluate:
    import onnxruntime
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = convert_xgboost(booster, initial_types=[("rows", FloatTensorType([None, N_FEATURES]))])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(["probabilities"], {"rows": rows})[0][:, 1]


EVALUATORS: Mapping[str, Callable[[xgboost.Booster], Evaluate]] = {
    KERNEL: _make_kernel,
    XGBOOST: _make_xgboost,
    "ONNX Runtime": _make_onnx,
    "tl2cgen": _make_tl2cgen,
    "treelite GTIL": _make_treelite,
}
