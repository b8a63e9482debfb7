"""A predictor's answers as a column of Arrow's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.predictor import Predictor


def find_type(predictor: Predictor) -> pa.DataType:
    """Of a predictor's column: a number for each row, or a list of as many as there are classes."""
    nothing = np.full((1, predictor.signature.n_features), np.nan, dtype=np.float32)
    shape = predictor.forest.predictions(nothing).shape[1:]
    return pa.list_(pa.float32(), shape[0]) if shape else pa.float32()


def to_column(predictions: npt.NDArray[np.float32], type_: pa.DataType) -> pa.Array:
    """
    Make a column of that type.

    Parameters
    ----------
    predictions : numpy.ndarray of float32, shape (n_rows,) or (n_rows, n_classes)
    type_ : pyarrow.DataType
    """
    flat = pa.array(predictions.ravel())
    return flat if predictions.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, type=type_)


def find_not_finite(predictions: npt.NDArray[np.float32]) -> int | None:
    """The first row with an answer that the service would not give either: NaN, or infinite."""
    is_finite = np.isfinite(predictions).reshape(len(predictions), -1).all(axis=1)
    return None if is_finite.all() else int(np.argmin(is_finite))
