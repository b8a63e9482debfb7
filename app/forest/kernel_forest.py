"""The compiled kernel as the evaluator: the same bits as XGBoost's, without what XGBoost does anew at every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from app.cores import available_cores, make_batch_threads
from app.errors import ModelUnfit
from app.forest.learner import pack_learner
from app.forest.packing import NotCovered

try:
    from app.forest import _kernel
except ImportError:  # no compiler at installation; XGBoost answers then
    _kernel = None  # type: ignore[assignment]

# Rows times trees that are worth a thread of their own: about a millisecond and a half.
_WORK_OF_A_THREAD = 400_000
# The same that take about a millisecond of one core: up to 5 ns each in blocks, 12 for a single row.
_QUICK_WORK = 100_000

FloatMatrix = npt.NDArray[np.float32]


class KernelForest:
    """
    A packed forest; never changed, safe to call from several threads.

    Attributes
    ----------
    walk : str
        How the processor walks it: ``avx2``, ``avx2-loads`` or ``scalar``.
    packed : mapping
        What it is made of.
    n_features : int
    n_quick_rows : int
        So many rows take less than a millisecond.
    """

    def __init__(self, packed: Mapping[str, Any], walk: str | None = None, n_threads: int | None = None) -> None:
        """
        Take over a packed forest.

        Parameters
        ----------
        packed : mapping
            As `pack_learner` makes it. The kernel keeps the arrays as they are, and checks them.
        walk : str or None
            One of those; None for the quickest that this processor has.
        n_threads : int or None
            How many threads share the rows of a large matrix; None for one a core.

        Raises
        ------
        NotCovered
            If the kernel is not built.
        TypeError, ValueError
            If a walk would leave the arrays.
        """
        if _kernel is None:
            raise NotCovered("the kernel is not built")
        self._forest = _kernel.Forest(**packed, walk=walk)
        self.packed = packed
        self.n_features = len(packed["is_category"])
        self._n_groups = len(packed["base_scores"]) // np.dtype(np.float32).itemsize
        self._n_trees = len(packed["has_categories"])
        self.n_quick_rows = _QUICK_WORK // self._n_trees
        self._is_class = packed["transform"] == "argmax"
        self.walk: str = self._forest.walk
        # Of its own, so that no model version's batches wait for another one's; they end with it.
        self._n_threads = n_threads or available_cores()
        self._threads = make_batch_threads("forest", self._n_threads)

    @classmethod
    def of_learner(cls, learner: Mapping[str, Any], *, n_rounds: int | None, walk: str | None = None) -> KernelForest:
        """
        Pack a forest.

        Parameters
        ----------
        learner : mapping
            Of the document that ``Booster.save_raw("ubj")`` gives.
        n_rounds : int or None
            How many rounds of it answer; None for all.
        walk : str or None
            As the constructor takes it.

        Raises
        ------
        NotCovered
            If XGBoost has to answer; the text says why.
        ModelUnfit
            If the trees are damaged.
        """
        try:
            return cls(pack_learner(learner, n_rounds), walk)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise ModelUnfit(f"the booster's trees are not laid out as XGBoost 2 or 3 does it: {error!r}") from None

    def margins(self, matrix: FloatMatrix) -> FloatMatrix:
        """
        Sums of the leaves, before the objective's output transform.

        Parameters
        ----------
        matrix : numpy.ndarray of float32, shape (n_rows, n_features)
            Categories as codes, missing values as NaN.

        Returns
        -------
        numpy.ndarray of float32, shape (n_rows,) or (n_rows, n_classes)
        """
        return self._answer(self._forest.margins, matrix, self._n_groups)

    def predictions(self, matrix: FloatMatrix) -> FloatMatrix:
        """
        What ``Booster.predict`` answers: probabilities, values or classes, by the objective.

        Parameters and returns are those of `margins`.
        """
        return self._answer(self._forest.predictions, matrix, 1 if self._is_class else self._n_groups)

    def _answer(
        self, evaluate: Callable[[FloatMatrix, FloatMatrix], None], matrix: FloatMatrix, n_columns: int
    ) -> FloatMatrix:
        n_rows = len(matrix)
        rows = np.ascontiguousarray(matrix, np.float32)
        out: FloatMatrix = np.empty(n_rows if n_columns == 1 else (n_rows, n_columns), dtype=np.float32)
        n_parts = min(n_rows * self._n_trees // _WORK_OF_A_THREAD, self._n_threads)
        if n_parts > 1:
            edges = [n_rows * part // n_parts for part in range(n_parts + 1)]
            parts = [slice(*edge) for edge in pairwise(edges)]
            list(self._threads.map(lambda part: evaluate(rows[part], out[part]), parts))
        else:
            evaluate(rows, out)
        return out


def quickest_walk() -> str | None:
    """How this processor walks a forest unless told otherwise; None where the kernel is not built."""
    return None if _kernel is None else _kernel.walks[0]
