"""Counts rows in bins: by the compiled counter, or by numpy where it is not built."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from app.observed.bins import ColumnBins, Counts, FloatMatrix
from app.wire.exchange import UNKNOWN_BITS

try:
    from app.observed import _counting
except ImportError:  # no compiler at installation
    _counting = None  # type: ignore[assignment]

_NUMBER, _CATEGORY = 0, 1
_FEW_ROWS = 1000


class BinCounts:
    """
    How many rows have fallen into each bin of some columns; safe to call from several threads.

    Attributes
    ----------
    columns : sequence of ColumnBins
    """

    def __init__(self, columns: Sequence[ColumnBins]) -> None:
        self.columns = columns
        self._adding = threading.Lock()
        self._counts: Counts = np.zeros(sum(len(column.labels) for column in columns), dtype=np.int64)
        self._layout = _describe(columns)

    def count(self, matrices: Sequence[FloatMatrix]) -> None:
        """
        Count rows.

        Parameters
        ----------
        matrices : sequence of numpy.ndarray of float32, shape (n_rows, n_columns)
            NaN is a missing value, or an unknown category by its bits.
        """
        if sum(map(len, matrices)) <= _FEW_ROWS:
            with self._adding:
                self._add(matrices, self._counts)
            return
        own = np.zeros_like(self._counts)
        self._add(matrices, own)  # which takes milliseconds, for which nobody is to wait
        with self._adding:
            self._counts += own

    def take(self) -> list[Counts]:
        """A copy of the counts, those of each column by themselves."""
        with self._adding:
            whole = self._counts.copy()
        ends = np.cumsum([len(column.labels) for column in self.columns])
        return np.split(whole, ends[:-1]) if len(ends) else []

    def _add(self, matrices: Sequence[FloatMatrix], counts: Counts) -> None:
        if _counting is not None:
            _counting.count(*self._layout, matrices, counts)
        else:
            for matrix in matrices:
                self._add_with_numpy(matrix, counts)

    def _add_with_numpy(self, matrix: FloatMatrix, counts: Counts) -> None:
        matrix, at = matrix.reshape(len(matrix), -1), 0
        for column in self.columns:
            values = np.ascontiguousarray(matrix[:, column.column])
            n_bins = len(column.labels)
            is_missing = np.isnan(values)
            bins: Counts
            if column.edges is not None:
                bins = np.searchsorted(column.edges, values, side="right")
            else:
                assert column.codes is not None
                bins = column.codes[np.where(is_missing, 0, values).astype(np.int64)].astype(np.int64)
            bins = np.where(is_missing, n_bins - 1, bins)
            if column.codes is not None:
                bins = np.where(values.view(np.uint32) == UNKNOWN_BITS, n_bins - 2, bins)
            counts[at : at + n_bins] += np.bincount(bins, minlength=n_bins)
            at += n_bins


def _describe(columns: Sequence[ColumnBins]) -> tuple[bytes, bytes, bytes]:
    """For each column five numbers, as `Column` in ``counting/counting.h``; all edges, and all codes."""
    described: list[tuple[int, int, int, int, int]] = []
    edges: list[FloatMatrix] = []
    codes: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
    n_edges = n_codes = 0
    for column in columns:
        if column.edges is not None:
            described.append((column.column, _NUMBER, n_edges, len(column.edges), len(column.labels)))
            edges.append(column.edges)
            n_edges += len(column.edges)
        else:
            assert column.codes is not None
            described.append((column.column, _CATEGORY, n_codes, len(column.codes), len(column.labels)))
            codes.append(column.codes)
            n_codes += len(column.codes)
    return (
        np.array(described, dtype=np.uint32).tobytes(),
        np.concatenate([np.array([], np.float32), *edges]).tobytes(),
        np.concatenate([np.array([], np.int32), *codes]).tobytes(),
    )
