"""Measuring several things in turns, A B C A B C …, so that what slows the machine for a while slows all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

Measured = TypeVar("Measured")


def take_turns(measures: Mapping[str, Callable[[], Measured]], n_turns: int) -> list[dict[str, Measured]]:
    """What each measure found, turn by turn."""
    return [{name: measure() for name, measure in measures.items()} for _ in range(n_turns)]


def medians(turns: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median over the turns of each."""
    return {name: median(turn[name] for turn in turns) for name in turns[0]}


def ratios(turns: Sequence[Mapping[str, float]], reference: str) -> dict[str, float]:
    """How many times the reference each is: the median of the ratios to the reference of the same turn."""
    return medians([{name: found / turn[reference] for name, found in turn.items()} for turn in turns])
