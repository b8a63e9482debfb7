"""Rows that lie on a forest's own thresholds and beside them: where two evaluators would differ, if they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.forest.kernel_forest import FloatMatrix

_MISSING_SHARE = 0.1


def draw_boundary_rows(trees: Sequence[Mapping[str, Any]], n_features: int, n_rows: int, seed: int = 0) -> FloatMatrix:
    """
    Draw rows whose features are thresholds of the forest, the next numbers below and above, or missing.

    Parameters
    ----------
    trees : sequence of mapping
        As XGBoost's document has them.
    n_features, n_rows : int
    seed : int

    Returns
    -------
    numpy.ndarray of float32, shape (n_rows, n_features)
        Of a category: any code that a node tells apart, and the two after the last.
    """
    rng = np.random.default_rng(seed)
    feature, value, is_category = _splits(trees)
    rows = np.zeros((n_rows, n_features), dtype=np.float32)
    n_codes = max((int(np.max(tree["categories"], initial=0)) for tree in trees), default=0) + 3
    for column in np.unique(feature):
        here = feature == column
        if is_category[here].any():
            rows[:, column] = rng.integers(0, n_codes, n_rows)
            continue
        drawn = rng.choice(value[here], n_rows)
        side = rng.integers(-1, 2, n_rows)
        beside = np.nextafter(drawn, np.where(side < 0, -np.inf, np.inf).astype(np.float32))
        rows[:, column] = np.where(side == 0, drawn, np.where(np.isfinite(beside), beside, drawn))
    rows[rng.random(rows.shape) < _MISSING_SHARE] = np.nan
    return rows


def _splits(
    trees: Sequence[Mapping[str, Any]],
) -> tuple[npt.NDArray[np.int64], FloatMatrix, npt.NDArray[np.bool_]]:
    def column(name: str) -> npt.NDArray[Any]:
        return np.concatenate([np.asarray(tree[name]) for tree in trees])

    asks = column("left_children") != -1
    return (
        column("split_indices")[asks].astype(np.int64),
        column("split_conditions")[asks].astype(np.float32),
        column("split_type")[asks].astype(bool),
    )
