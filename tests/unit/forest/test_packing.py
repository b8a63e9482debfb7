"""Trees are not believed: what is no tree is refused by name before the kernel sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.errors import ModelUnfit
from app.forest import packing
from app.forest.packing import NotCovered, PackedTrees, pack_trees

IS_CATEGORY = np.array([False, True])


def tree(**changes: Any) -> dict[str, Any]:
    """
    A tree of five nodes, as XGBoost writes it, with columns of another content.

    Node 0 asks for the number, node 2 for the category (5 and 33 go right); the others are leaves.
    """
    columns: dict[str, Any] = {
        "left_children": [1, -1, 3, -1, -1],
        "right_children": [2, -1, 4, -1, -1],
        "split_indices": [0, 0, 1, 0, 0],
        "split_conditions": [0.5, 1.0, 0.0, 2.0, 3.0],
        "split_type": [0, 0, 1, 0, 0],
        "default_left": [0, 0, 1, 0, 0],
        "categories": [5, 33],
        "categories_nodes": [2],
        "categories_segments": [0],
        "categories_sizes": [2],
    }
    assert changes.keys() <= columns.keys()
    return {name: np.asarray(values) for name, values in (columns | changes).items()}


def test_children_stand_side_by_side_and_leaves_lead_to_themselves() -> None:
    """The layout that the kernel walks, for two trees."""
    packed = pack_trees([tree(), tree()], IS_CATEGORY)
    assert packed.roots.tolist() == [0, 5, 10]
    assert packed.depths.tolist() == [2, 2]
    assert packed.has_categories.tolist() == [1, 1]
    assert packed.feature_bits == 1
    links = packed.nodes["link"].tolist()
    assert links[:5] == [1 << 31 | 1 << 1 | 0, 0, 1 << 30 | 1 << 1 | 1, 0, 0]
    assert links[5:] == links[:5]
    assert packed.leaves[:5].tolist() == [0, 1, 0, 2, 3]
    assert np.isnan(packed.nodes["value"][[1, 3, 4]]).all()
    assert packed.nodes["value"][0] == 0.5
    assert (packed.n_codes, packed.sets.tolist()) == (34, [1 << 5, 1 << 1] * 2)
    assert packed.nodes["value"].view("<u4")[[2, 7]].tolist() == [0, 2]


def test_the_order_of_nodes_in_the_file_means_nothing() -> None:
    """XGBoost numbers nodes as it grows them; the kernel wants them level by level, and none that nobody reaches."""
    shuffled = tree(
        left_children=[2, -1, -1, -1, 3, -1],
        right_children=[4, -1, -1, -1, 1, -1],
        split_indices=[0, 0, 0, 0, 1, 0],
        split_conditions=[0.5, 3.0, 1.0, 2.0, 0.0, 9.0],
        split_type=[0, 0, 0, 0, 1, 0],
        default_left=[0, 0, 0, 0, 1, 0],
        categories_nodes=[4],
    )
    ordered, packed = (pack_trees([one], IS_CATEGORY) for one in (tree(), shuffled))
    assert content(packed) == content(ordered)


def content(packed: PackedTrees) -> list[Any]:
    """All of it, comparable."""
    return [value.tobytes() if isinstance(value, np.ndarray) else value for value in vars(packed).values()]


DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "a column cut short": ({"split_indices": [0, 0, 1, 0]}, "columns of different lengths"),
    "no nodes": ({name: [] for name in list(tree())[:6]}, "columns of different lengths"),
    "one child": ({"right_children": [2, -1, -1, -1, -1]}, "node with one child"),
    "a child beyond the end": ({"right_children": [5, -1, 4, -1, -1]}, "child outside of it"),
    "a negative child": ({"left_children": [-2, -1, 3, -1, -1]}, "child outside of it"),
    "the root as a child": ({"left_children": [1, -1, 0, -1, -1]}, "child outside of it"),
    "its own child": ({"left_children": [1, -1, 2, -1, -1]}, "two parents"),
    "one node as both children": (
        {"right_children": [1, -1, 4, -1, -1], "left_children": [1, -1, 3, -1, -1]},
        "two par",
    ),
    "a way back": ({"left_children": [1, -1, 1, -1, -1]}, "two parents"),
    "a feature too high": ({"split_indices": [2, 0, 1, 0, 0]}, "feature that is not there"),
    "a negative feature": ({"split_indices": [-1, 0, 1, 0, 0]}, "feature that is not there"),
    "a threshold that is no number": ({"split_conditions": [np.nan, 1, 0, 2, 3]}, "threshold that is not a number"),
    "an infinite leaf": ({"split_conditions": [0.5, np.inf, 0, 2, 3]}, "not a finite number"),
    "a leaf that is no number": ({"split_conditions": [0.5, 1, 0, np.nan, 3]}, "not a finite number"),
    "a number as a category": ({"split_type": [1, 0, 1, 0, 0]}, "takes a category for a number"),
    "a category as a number": ({"split_type": [0, 0, 0, 0, 0]}, "takes a category for a number"),
    "no categories": ({"categories_nodes": [], "categories_segments": [], "categories_sizes": []}, "does not have"),
    "categories twice": (
        {"categories_nodes": [2, 2], "categories_segments": [0, 0], "categories_sizes": [1, 1]},
        "does not have",
    ),
    "categories of no node": ({"categories_nodes": [5]}, "categories of no node"),
    "categories beyond the end": ({"categories_sizes": [3]}, "categories of no node"),
    "a negative segment": ({"categories_segments": [-1]}, "categories of no node"),
    "a negative category": ({"categories": [5, -1]}, "category that no feature can have"),
    "a category too high": ({"categories": [5, 1 << 24]}, "category that no feature can have"),
    "a child of 2**40": ({"right_children": [1 << 40, -1, 4, -1, -1]}, "child outside of it"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_tree_is_refused_by_name(name: str) -> None:
    """With the number of the tree where there is one, beside a good tree."""
    changes, reason = DAMAGED[name]
    with pytest.raises(ModelUnfit, match=reason):
        pack_trees([tree(), tree(**changes)], IS_CATEGORY)


def test_a_column_that_is_missing_is_an_error() -> None:
    """The caller tells what the document lacks."""
    damaged = tree()
    del damaged["default_left"]
    with pytest.raises(KeyError, match="default_left"):
        pack_trees([damaged], IS_CATEGORY)


def chain(n_levels: int) -> dict[str, Any]:
    """A tree in which every left child is a leaf."""
    inner = np.arange(n_levels)
    n_nodes = 2 * n_levels + 1
    left, right = np.full(n_nodes, -1), np.full(n_nodes, -1)
    left[2 * inner], right[2 * inner] = 2 * inner + 1, 2 * inner + 2
    zeros = np.zeros(n_nodes)
    return tree(
        left_children=left,
        right_children=right,
        split_indices=zeros.astype(int),
        split_conditions=zeros,
        split_type=zeros.astype(int),
        default_left=zeros.astype(int),
        categories=[],
        categories_nodes=[],
        categories_segments=[],
        categories_sizes=[],
    )


def test_what_is_too_large_for_the_layout_is_left_to_xgboost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too deep, too wide, or with too many categories: a good model, and not one for the kernel."""
    assert pack_trees([chain(512)], IS_CATEGORY).depths.tolist() == [512]
    with pytest.raises(NotCovered, match="513 levels is too deep"):
        pack_trees([chain(513)], IS_CATEGORY)
    with pytest.raises(NotCovered, match="over 536870913 features is too large"):
        pack_trees([chain(3)], np.broadcast_to(False, (1 << 29) + 1))
    monkeypatch.setattr(packing, "_MAX_SET_BYTES", 15)
    with pytest.raises(NotCovered, match="2 nodes that each tell 34 categories apart are too many"):
        pack_trees([tree(), tree()], IS_CATEGORY)
