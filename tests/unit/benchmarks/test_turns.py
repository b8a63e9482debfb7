"""Turns: interleaved, with ratios of what was measured at the same time."""

from __future__ import annotations

from functools import partial

import pytest

from benchmarks.turns import medians, ratios, take_turns


def test_measures_take_turns() -> None:
    """A B A B, never A A B B."""
    order: list[str] = []
    measures = {name: partial(order.append, name) for name in "AB"}
    assert take_turns(measures, 3) == [{"A": None, "B": None}] * 3
    assert order == list("ABABAB")


def test_one_turn_that_was_disturbed_does_not_show() -> None:
    """Neither in the medians nor in the ratios."""
    turns = [{"A": 10.0, "B": 20.0}, {"A": 1.0, "B": 20.0}, {"A": 12.0, "B": 22.0}]
    assert medians(turns) == {"A": 10.0, "B": 20.0}
    assert ratios(turns, "A")["B"] == pytest.approx(2.0)


def test_a_machine_that_slows_down_slows_both_sides_of_a_ratio() -> None:
    """The ratio is taken in each turn: B is twice A throughout, though no two turns are alike."""
    turns = [{"A": speed, "B": 2 * speed} for speed in (40.0, 7.0, 1.0, 90.0, 3.0)]
    turns[0]["B"], turns[3]["B"] = 0.0, 1e9  # which the medians of each side alone would take in
    assert ratios(turns, "A") == {"A": 1.0, "B": 2.0}
