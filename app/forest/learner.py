"""XGBoost's document of a learner to what the compiled kernel is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.forest.packing import NotCovered, pack_trees

_MAX_FEATURES, _MAX_GROUPS = 1 << 20, 1 << 16

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
