"""The compiled kernel by itself believes nobody: arrays that would lead it out of its memory are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.forest import _kernel
from app.forest.learner import pack_learner
from tests.forests import WALKS, learner_of, train

NODE = np.dtype([("value", "<f4"), ("link", "<u4")])


@pytest.fixture
def arrays() -> dict[str, Any]:
    """What the kernel is given for a forest of 36 trees with categories."""
    booster, _ = train({"objective": "binary:logistic"})
    return {**pack_learner(learner_of(booster), None), "walk": None}


def items(arrays: dict[str, Any], name: str, dtype: Any) -> Any:
    """One of the arrays, to be changed."""
    return np.frombuffer(arrays[name], dtype).copy()


def nodes_of(arrays: dict[str, Any]) -> Any:
    """The nodes, to be changed."""
    return items(arrays, "nodes", NODE)


def spoil_node(arrays: dict[str, Any], at: int, **fields: Any) -> dict[str, Any]:
    """The arrays with another node."""
    nodes = nodes_of(arrays)
    for name, value in fields.items():
        nodes[name][at] = value
    return arrays | {"nodes": nodes.tobytes()}


def first(arrays: dict[str, Any], kind: str) -> int:
    """The first node that is a leaf, or asks for a number or a category."""
    link = nodes_of(arrays)["link"]
    asks = link >> arrays["feature_bits"] & 0x3FFFFFFF >> arrays["feature_bits"]
    is_category = link >> 30 & 1 == 1
    wanted = {"leaf": asks == 0, "number": (asks > 0) & ~is_category, "category": (asks > 0) & is_category}
    return int(np.argmax(wanted[kind]))


def refusal(arrays: dict[str, Any]) -> str:
    """Why the kernel does not take them."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        _kernel.Forest(**arrays)
    return str(caught.value)


def test_it_takes_what_packing_makes(arrays: dict[str, Any]) -> None:
    """Else all refusals below would mean nothing."""
    assert _kernel.Forest(**arrays).walk == WALKS[0]


def test_nodes_that_lead_elsewhere_are_refused(arrays: dict[str, Any]) -> None:
    """Each index is checked, so that no walk needs to."""
    bits = arrays["feature_bits"]
    number, leaf, category = (first(arrays, kind) for kind in ("number", "leaf", "category"))
    n_nodes, n_sets = len(arrays["nodes"]) // 8, len(arrays["sets"]) // 4
    for at, fields, reason in [
        (number, {"link": n_nodes << bits}, "a node's children are not in its tree"),
        (number, {"link": (1 << 30 - bits) - 1 << bits}, "a node's children are not in its tree"),
        (number, {"link": 1 << bits | 7}, "a node asks for a feature that is not there"),
        (0, {"link": 3 << bits}, "a tree's nodes do not stand level by level"),
        (1, {"link": 5 << bits}, "a tree's nodes do not stand level by level"),
        (number, {"value": np.nan}, "a threshold is not a number"),
        (number, {"link": 1 << 30 | 1 << bits | 1}, "a node takes a category for a number, or a number for a category"),
        (category, {"link": 1 << bits}, "a node takes a category for a number, or a number for a category"),
        (category, {"value": np.uint32(1 << 31).view(np.float32)}, "a node's categories are not there"),
        (
            category,
            {"value": np.uint32(n_sets).view(np.float32)},
            "a node's categories are not there",
        ),
        (leaf, {"value": 1.0}, "a leaf has a feature or a threshold"),
        (leaf, {"link": 1}, "a leaf has a feature or a threshold"),
        (leaf, {"link": 1 << 31}, "a leaf has a feature or a threshold"),
        (n_nodes - 1, {"link": 1 << bits}, "a node's children are not in its tree"),
    ]:
        assert refusal(spoil_node(arrays, at, **fields)) == reason


def test_arrays_that_do_not_fit_together_are_refused(arrays: dict[str, Any]) -> None:
    """Their lengths, their limits, and who belongs to whom."""
    roots = items(arrays, "roots", "<u4")
    swapped, short, long = roots.copy(), roots.copy(), roots.copy()
    swapped[3], swapped[4] = roots[4], roots[3]
    short[-1] -= 1
    long[-1] += 1
    groups = items(arrays, "groups", "<u2")
    groups[5] = 1
    flags = bytes(len(arrays["has_categories"]))
    for changes, reason in [
        ({"roots": swapped.tobytes()}, "a tree's nodes are not in the forest"),
        ({"roots": long.tobytes()}, "a tree's nodes are not in the forest"),
        ({"roots": short.tobytes()}, "a node's children are not in its tree"),
        ({"roots": roots[:-1].tobytes()}, "the arrays of trees differ in length"),
        ({"depths": arrays["depths"][:-2]}, "the arrays of trees differ in length"),
        ({"has_categories": arrays["has_categories"][:-1]}, "the arrays of trees differ in length"),
        ({"leaves": arrays["leaves"][:-4]}, "the arrays of nodes differ in length"),
        ({"leaves": arrays["leaves"][:-1]}, "an array ends in the middle of an item"),
        ({"groups": groups.tobytes()}, "a tree is added to an output that is not there"),
        ({"has_categories": flags}, "a node's categories are not there"),
        ({"is_category": bytes(5)}, "a node takes a category for a number, or a number for a category"),
        ({"is_category": b"\1"}, "a node asks for a feature that is not there"),
        ({"sets": arrays["sets"][:-4]}, "a node's categories are not there"),
        ({"n_codes": 1 << 24}, "a node's categories are not there"),
        ({"n_codes": (1 << 24) + 1}, "a size is out of range"),
        ({"feature_bits": 0}, "a size is out of range"),
        ({"feature_bits": 30}, "a size is out of range"),
        ({"base_scores": b""}, "a size is out of range"),
        ({"transform": "square"}, "there is no such transform"),
        ({"walk": "sse"}, "this processor has no such walk"),
    ]:
        assert refusal(arrays | changes) == reason, changes.keys()


@pytest.mark.parametrize("walk", WALKS)
def test_depths_that_lie_are_harmless(arrays: dict[str, Any], walk: str) -> None:
    """A walk that goes on past a leaf stays there, and one that stops early adds what stands at the node."""
    matrix = np.zeros((70, 5), dtype=np.float32)
    right, wrong = np.empty(70, dtype=np.float32), np.empty(70, dtype=np.float32)
    _kernel.Forest(**arrays | {"walk": walk}).margins(matrix, right)
    deeper = (items(arrays, "depths", "<u2") + 9).tobytes()
    _kernel.Forest(**arrays | {"walk": walk, "depths": deeper}).margins(matrix, wrong)
    np.testing.assert_array_equal(wrong, right)
    _kernel.Forest(**arrays | {"walk": walk, "depths": bytes(len(deeper))}).margins(matrix, wrong)
    assert np.unique(wrong).size == 1


def test_a_matrix_of_another_shape_is_refused(arrays: dict[str, Any]) -> None:
    """As is too little room for the answer, one that cannot be written, and columns in the way."""
    forest = _kernel.Forest(**arrays)
    good, room = np.zeros((3, 5), dtype=np.float32), np.zeros(3, dtype=np.float32)
    wrong: list[tuple[Any, Any]] = [
        (good[:, :4].copy(), room), (good, room[:2]), (good.astype(np.float64), room), (good[:2], room)
    ]  # fmt: skip
    for matrix, out in wrong:
        with pytest.raises(ValueError, match="another shape"):
            forest.margins(matrix, out)
    locked = room.copy()
    locked.flags.writeable = False
    for matrix, out in [(good, locked), (np.asfortranarray(good), room), (good[:, ::-1], room)]:
        with pytest.raises((ValueError, BufferError, TypeError)):
            forest.predictions(matrix, out)
    with pytest.raises(TypeError):
        forest.margins(good)  # type: ignore[call-arg]


def test_a_forest_is_made_once_and_whole(arrays: dict[str, Any]) -> None:
    """Neither a second time nor, after a refusal, half."""
    forest = _kernel.Forest(**arrays)
    with pytest.raises(ValueError, match="made once"):
        forest.__init__(**arrays)  # type: ignore[misc]
    half = _kernel.Forest.__new__(_kernel.Forest)
    with pytest.raises(ValueError, match="not made"):
        half.margins(np.zeros((1, 5), dtype=np.float32), np.zeros(1, dtype=np.float32))
    assert half.walk == "none"
