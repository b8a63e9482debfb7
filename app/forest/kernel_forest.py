"""The compiled kernel as the evaluator: the same bits as XGBoost's, without what XGBoost does anew at every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from app.cores import available_cores, make_batch_threads
from app.errors import ModelUnfit
from app.forest.packing import NotCovered, pack_trees

try:
    from app.forest import _kernel
except ImportError:  # no compiler at installation; XGBoost answers then
    _kernel = None  # type: ignore[assignment]

# Rows times trees that are worth a thread of their own: about a millisecond and a half.
_WORK_OF_A_THREAD = 400_000
# The same that take about a millisecond of one core: up to 5 ns each in blocks, 12 for a single row.
_QUICK_WORK = 100_000
_MAX_FEATURES, _MAX_GROUPS = 1 << 20, 1 << 16

FloatMatrix = npt.NDArray[np.float32]

# Of XGBoost's objectives, how margins become predictions. The base score goes the other way: it is a prediction.
_TRANSFORMS = {
    "binary:hinge": "hinge",
    "binary:logistic": "sigmoid",
    "binary:logitraw": "identity",
    "count:poisson": "exponential",
    "multi:softmax": "argmax",
    "multi:softprob": "softmax",
    "rank:map": "identity",
    "rank:ndcg": "identity",
    "rank:pairwise": "identity",
    "reg:absoluteerror": "identity",
    "reg:gamma": "exponential",
    "reg:logistic": "sigmoid",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:tweedie": "exponential",
    "survival:aft": "exponential in double",
    "survival:cox": "exponential",
}


class KernelForest:
    """
    A packed forest; never changed, safe to call from several threads.

    Attributes
    ----------
    walk : str
        How the processor walks it: ``avx2`` or ``scalar``.
    packed : mapping
        What it is made of.
    n_features : int
    n_quick_rows : int
        So many rows take less than a millisecond.
    """

    def __init__(self, packed: Mapping[str, Any], walk: str | None = None) -> None:
        """
        Take over a packed forest.

        Parameters
        ----------
        packed : mapping
            As `pack_learner` makes it. The kernel keeps the arrays as they are, and checks them.
        walk : str or None
            ``avx2`` or ``scalar``; None for the quickest that this processor has.

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
        self._threads = make_batch_threads("forest", _cores())

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
        n_parts = min(n_rows * self._n_trees // _WORK_OF_A_THREAD, _cores())
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


@cache
def _cores() -> int:
    return available_cores()


def pack_learner(learner: Mapping[str, Any], n_rounds: int | None) -> dict[str, Any]:
    """
    What the compiled kernel is made of: arrays as bytes and a few numbers; takes what `KernelForest.of_learner` does.

    Raises
    ------
    NotCovered
        As `KernelForest.of_learner` raises it.
    KeyError, TypeError, ValueError, IndexError, OverflowError
        If the trees are damaged, or laid out in another way than XGBoost 2 and 3 write them.
    """
    booster = learner["gradient_booster"]
    kind, objective = booster["name"], learner["objective"]["name"]
    if kind not in ("gbtree", "dart"):
        raise NotCovered(f"it is a booster of kind {kind}, which has no trees")
    if objective not in _TRANSFORMS:
        raise NotCovered(f"its objective is {objective}")
    model = _find_model(learner)
    trees = model["trees"]
    n_trees = len(trees) if n_rounds is None else int(model["iteration_indptr"][n_rounds])
    trees = trees[:n_trees]
    if not trees:
        raise NotCovered("it has no trees")
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees):
        raise NotCovered("its leaves are vectors")
    n_features, n_groups = int(learner["learner_model_param"]["num_feature"]), _count_groups(learner)
    if n_features > _MAX_FEATURES or n_groups > _MAX_GROUPS:
        raise NotCovered(f"it has {n_features} features and {n_groups} outputs")
    kinds = learner.get("feature_types") or [""] * n_features
    is_category = np.array([kind == "c" for kind in kinds], dtype=bool)
    if len(is_category) != n_features:
        raise ValueError("there are not as many feature types as features")
    packed = pack_trees(trees, is_category)
    leaves = packed.leaves
    if kind == "dart":
        weights = np.asarray(booster["weight_drop"], dtype=np.float32)[:n_trees]
        leaves = leaves * np.repeat(weights, packed.roots[1:] - packed.roots[:-1])
    groups = np.asarray(model["tree_info"], dtype=np.int64)[:n_trees]
    if len(groups) != n_trees or groups.min() < 0 or groups.max() >= n_groups:
        raise ValueError("tree_info names an output that is not there")
    return {
        "nodes": packed.nodes.tobytes(),
        "leaves": leaves.tobytes(),
        "roots": packed.roots.tobytes(),
        "groups": groups.astype(np.uint16).tobytes(),
        "depths": packed.depths.tobytes(),
        "has_categories": packed.has_categories.tobytes(),
        "sets": packed.sets.tobytes(),
        "is_category": is_category.astype(np.uint8).tobytes(),
        "base_scores": _read_base_scores(learner, n_groups).tobytes(),
        "n_codes": packed.n_codes,
        "feature_bits": packed.feature_bits,
        "transform": _TRANSFORMS[objective],
    }


def find_trees(learner: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The trees of a booster that has some."""
    trees: Sequence[Mapping[str, Any]] = _find_model(learner)["trees"]
    return trees


def _find_model(learner: Mapping[str, Any]) -> Mapping[str, Any]:
    booster = learner["gradient_booster"]
    model: Mapping[str, Any] = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    return model


def _count_groups(learner: Mapping[str, Any]) -> int:
    parameters = learner["learner_model_param"]
    return max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))


def _read_base_scores(learner: Mapping[str, Any], n_groups: int) -> npt.NDArray[np.float32]:
    """``5E-1`` as XGBoost wrote it before 3.1, ``[5E-1]`` and ``[1E0,2E0]`` since."""
    text = learner["learner_model_param"]["base_score"].strip("[]")
    scores = np.array([np.float32(score) for score in text.split(",")], dtype=np.float32)
    if len(scores) not in (1, n_groups):
        raise ValueError(f"there are {len(scores)} base scores for {n_groups} outputs")
    return np.broadcast_to(scores, n_groups)
