"""
A booster's trees to the arrays that the kernel walks, with nothing believed that has not been checked.

The nodes of a tree are put level by level, the two children of a node side by side (see ``kernel/forest.h``). All
trees go through each level together, so that a forest of a thousand trees takes a few dozen array operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import ModelUnfit

IntArray = npt.NDArray[np.int64]

_RIGHT_IF_MISSING, _IS_CATEGORY, _N_FLAGS = 1 << 31, 1 << 30, 2
_LINK_BITS = 32
_NODE = np.dtype([("value", "<f4"), ("link", "<u4")])
_MAX_DEPTH = 512
_MAX_SET_BYTES = 64 * 1024 * 1024
_MAX_CATEGORY = 1 << 24  # XGBoost's own limit: beyond it a float32 is no exact code


class NotCovered(Exception):
    """The booster is a good one of a kind that the kernel does not walk; the text says which."""


@dataclass(frozen=True)
class PackedTrees:
    """
    Trees as the kernel takes them.

    Attributes
    ----------
    nodes : numpy.ndarray of (float32 value, uint32 link), shape (n_nodes,)
    leaves : numpy.ndarray of float32, shape (n_nodes,)
        What a row is given that ends at a node.
    roots : numpy.ndarray of uint32, shape (n_trees + 1,)
    depths : numpy.ndarray of uint16, shape (n_trees,)
    has_categories : numpy.ndarray of uint8, shape (n_trees,)
    sets : numpy.ndarray of uint32
        Bits of the categories that go right, `n_codes` // 32 + 1 words for each node that asks for one.
    n_codes : int
    feature_bits : int
    """

    nodes: npt.NDArray[Any]
    leaves: npt.NDArray[np.float32]
    roots: npt.NDArray[np.uint32]
    depths: npt.NDArray[np.uint16]
    has_categories: npt.NDArray[np.uint8]
    sets: npt.NDArray[np.uint32]
    n_codes: int
    feature_bits: int


def pack_trees(trees: Sequence[Mapping[str, Any]], is_category: npt.NDArray[np.bool_]) -> PackedTrees:
    """
    Check and pack trees.

    Parameters
    ----------
    trees : sequence of mapping
        As XGBoost's document has them, read by `app.forest.ubjson`.
    is_category : numpy.ndarray of bool, shape (n_features,)
        Which features are categories.

    Raises
    ------
    ModelUnfit
        If a tree is none: it goes round, leads out of itself, asks for a feature that is not there.
    NotCovered
        If the trees are too large, or too deep, for nodes of 8 bytes.
    """
    sizes = np.array([_size(tree, number) for number, tree in enumerate(trees)], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    of_tree = np.repeat(np.arange(len(trees)), sizes)
    offset = starts[:-1][of_tree]

    def column(name: str) -> npt.NDArray[Any]:
        return np.concatenate([np.asarray(tree[name]) for tree in trees])

    left, right = column("left_children").astype(np.int64), column("right_children").astype(np.int64)
    feature = column("split_indices").astype(np.int64)
    value = column("split_conditions").astype(np.float32)
    asks_category = column("split_type").astype(bool)
    is_leaf = left == -1
    _refuse(of_tree, (right == -1) != is_leaf, "has a node with one child")
    for child in (left, right):
        _refuse(of_tree, ~is_leaf & ((child <= 0) | (child >= sizes[of_tree])), "has a child outside of it")
    _refuse(of_tree, ~is_leaf & ((feature < 0) | (feature >= len(is_category))), "asks for a feature that is not there")
    _refuse(of_tree, ~is_leaf & ~asks_category & np.isnan(value), "has a threshold that is not a number")
    _refuse(of_tree, is_leaf & ~np.isfinite(value), "has a leaf that is not a finite number")
    feature[is_leaf] = 0
    asks_category &= ~is_leaf
    _refuse(of_tree, ~is_leaf & (asks_category != is_category[feature]), "takes a category for a number")

    order, level_of = _order_by_levels(of_tree, np.where(is_leaf, -1, left + offset), right + offset, starts[:-1])
    # Children stand side by side, so the left one's place is the node's only pointer.
    place = np.empty(len(left), dtype=np.int64)
    place[order] = np.arange(len(order))
    kept = _Columns(of_tree[order], is_leaf[order], feature[order], value[order], asks_category[order])
    distance = np.where(kept.is_leaf, 0, place[np.where(is_leaf, 0, left + offset)[order]] - np.arange(len(order)))

    feature_bits = max(1, int(len(is_category) - 1).bit_length())
    if int(distance.max(initial=0)).bit_length() + feature_bits + _N_FLAGS > _LINK_BITS:
        raise NotCovered(f"a tree of {int(sizes.max())} nodes over {len(is_category)} features is too large")
    if level_of.max(initial=0) > _MAX_DEPTH:
        raise NotCovered(f"a tree of {int(level_of.max())} levels is too deep")

    sets, n_codes, at_set = _pack_sets(trees, starts, kept.asks_category, order)
    nodes = np.empty(len(order), dtype=_NODE)
    nodes["value"] = np.where(kept.is_leaf, np.nan, kept.value)
    nodes["value"][kept.asks_category] = at_set.astype("<u4").view("<f4")
    goes_right = ~column("default_left").astype(bool)[order] & ~kept.is_leaf
    nodes["link"] = (
        goes_right * _RIGHT_IF_MISSING | kept.asks_category * _IS_CATEGORY | distance << feature_bits | kept.feature
    )
    counts = np.bincount(kept.of_tree, minlength=len(trees))
    depths = np.zeros(len(trees), dtype=np.uint16)
    np.maximum.at(depths, kept.of_tree, level_of.astype(np.uint16))
    return PackedTrees(
        nodes,
        np.where(kept.is_leaf, kept.value, 0).astype(np.float32),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32),
        depths,
        (np.bincount(kept.of_tree, kept.asks_category, len(trees)) > 0).astype(np.uint8),
        sets,
        n_codes,
        feature_bits,
    )


@dataclass(frozen=True)
class _Columns:
    of_tree: IntArray
    is_leaf: npt.NDArray[np.bool_]
    feature: IntArray
    value: npt.NDArray[np.float32]
    asks_category: npt.NDArray[np.bool_]


def _size(tree: Mapping[str, Any], number: int) -> int:
    names = ("left_children", "right_children", "split_indices", "split_conditions", "split_type", "default_left")
    sizes = {len(tree[name]) for name in names}
    if len(sizes) != 1 or 0 in sizes:
        raise ModelUnfit(f"tree {number} of the booster has columns of different lengths")
    return sizes.pop()


def _refuse(of_tree: IntArray, is_wrong: npt.NDArray[np.bool_], what: str) -> None:
    if is_wrong.any():
        raise ModelUnfit(f"tree {of_tree[is_wrong.argmax()]} of the booster {what}; is the file whole?")


def _order_by_levels(of_tree: IntArray, left: IntArray, right: IntArray, roots: IntArray) -> tuple[IntArray, IntArray]:
    """Nodes that a walk can reach, each tree's together and level by level, with their levels."""
    seen = np.zeros(len(left), dtype=bool)
    levels, level = [], roots
    while len(level):
        ordered = np.sort(level)  # not np.unique, which imports numpy.ma
        if seen[level].any() or (ordered[1:] == ordered[:-1]).any():
            raise ModelUnfit("a tree of the booster has a node with two parents; is the file whole?")
        seen[level] = True
        levels.append(level)
        inner = level[left[level] >= 0]
        level = np.stack([left[inner], right[inner]], axis=1).ravel()
    order = np.concatenate(levels)
    level_of = np.repeat(np.arange(len(levels)), [len(level) for level in levels])
    by_tree = np.argsort(of_tree[order], kind="stable")
    return order[by_tree], level_of[by_tree]


def _pack_sets(
    trees: Sequence[Mapping[str, Any]], starts: IntArray, asks_category: npt.NDArray[np.bool_], order: IntArray
) -> tuple[npt.NDArray[np.uint32], int, IntArray]:
    """The bits, how many codes they tell apart, and for each asking node where its bits begin."""
    n_asking = int(asks_category.sum())
    if not n_asking:
        return np.zeros(0, dtype=np.uint32), 0, np.zeros(0, dtype=np.int64)
    node_of, categories_of = [], []
    for number, tree in enumerate(trees):
        categories = np.asarray(tree["categories"], dtype=np.int64)
        for node, begin, size in zip(
            tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
        ):
            if not 0 <= node < starts[number + 1] - starts[number] or not 0 <= begin <= begin + size <= len(categories):
                raise ModelUnfit(f"tree {number} of the booster has categories of no node; is the file whole?")
            node_of.append(starts[number] + int(node))
            categories_of.append(categories[int(begin) : int(begin) + int(size)])
    rank = np.full(int(starts[-1]), -1, dtype=np.int64)
    rank[order[asks_category]] = np.arange(n_asking)
    sizes = [len(categories) for categories in categories_of]
    node_at = rank[np.repeat(np.array(node_of, dtype=np.int64), sizes)]
    code = np.concatenate(categories_of) if categories_of else np.zeros(0, dtype=np.int64)
    if len(set(node_of)) != len(node_of) or set(order[asks_category].tolist()) - set(node_of):
        raise ModelUnfit("a node of the booster asks for categories that it does not have; is the file whole?")
    if code.min(initial=0) < 0 or code.max(initial=0) >= _MAX_CATEGORY:
        raise ModelUnfit("a node of the booster asks for a category that no feature can have; is the file whole?")
    code, node_at = code[node_at >= 0], node_at[node_at >= 0]
    n_codes = int(code.max(initial=0)) + 1
    n_words = n_codes // 32 + 1
    if n_asking * n_words * 4 > _MAX_SET_BYTES:
        raise NotCovered(f"{n_asking} nodes that each tell {n_codes} categories apart are too many")
    sets = np.zeros(n_asking * n_words, dtype=np.uint32)
    np.bitwise_or.at(sets, node_at * n_words + code // 32, np.uint32(1) << (code % 32).astype(np.uint32))
    return sets, n_codes, np.arange(n_asking) * n_words
