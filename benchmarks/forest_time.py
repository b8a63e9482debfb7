"""
How long evaluators take for a forest, in one thread, side by side.

``python -m benchmarks.forest_time FILE [--quick]`` writes what it found to a file. It runs in an environment that has
the other evaluators, which tests and training have no use for.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import xgboost

from app.forest.kernel_forest import FloatMatrix
from benchmarks.evaluators import EVALUATORS, XGBOOST, Evaluate, make_rows, train_forest
from benchmarks.turns import medians, ratios, take_turns

PACKAGES = ("xgboost-cpu", "onnxruntime", "onnxmltools", "treelite", "tl2cgen")
_MOST_APART = 1e-5


@dataclass(frozen=True)
class ForestTime:
    """
    What an evaluator took for a forest and a number of rows.

    Attributes
    ----------
    n_trees, n_rows : int
    evaluator : str
    us_per_row : float or None
        Median over the turns, in microseconds; None if it was not measured.
    times_xgboost : float or None
        How many times as quick as XGBoost in the same turn: the median.
    why_not : str
        Why it was not measured: its answers are wrong, or it cannot be had.
    """

    n_trees: int
    n_rows: int
    evaluator: str
    us_per_row: float | None = None
    times_xgboost: float | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Effort:
    """How much is measured, and for how long each time."""

    n_trees: Sequence[int] = (50, 200, 1000)
    n_rows: Sequence[int] = (1, 16, 64, 128, 1024, 8192)
    n_turns: int = 5
    seconds: float = 0.1


FULL, QUICK = Effort(), Effort(n_trees=(50, 200), n_rows=(1, 64, 8192), n_turns=3, seconds=0.02)


def measure_forests(
    effort: Effort, evaluators: Mapping[str, Callable[[xgboost.Booster], Evaluate]] = EVALUATORS
) -> list[ForestTime]:
    """Measure each evaluator with each forest and number of rows, in turns; XGBoost must be among them."""
    rows = make_rows()
    whole = train_forest(rows, max(effort.n_trees))
    return [
        found
        for n_trees in effort.n_trees
        for found in _measure_forest(whole[:n_trees], n_trees, rows, effort, evaluators)
    ]


def _measure_forest(
    booster: xgboost.Booster,
    n_trees: int,
    rows: FloatMatrix,
    effort: Effort,
    evaluators: Mapping[str, Callable[[xgboost.Booster], Evaluate]],
) -> Iterator[ForestTime]:
    booster.set_param({"nthread": 1})
    expected = booster.predict(xgboost.DMatrix(rows[:1000], nthread=1))
    right: dict[str, Evaluate] = {}
    for name, make in evaluators.items():
        try:
            right[name] = _make_checked(make, booster, rows[:1000], expected)
        except Exception as error:
            why_not = f"{error}".strip().partition("\n")[0]
            yield from (ForestTime(n_trees, n_rows, name, why_not=why_not) for n_rows in effort.n_rows)
    for n_rows in effort.n_rows:
        starts = range(0, len(rows) - n_rows + 1, min(n_rows, 512))
        # Other rows at each call, and enough of them that the caches do not know the way through the trees.
        blocks = cycle([np.ascontiguousarray(rows[start : start + n_rows]) for start in starts])
        measures = {name: _prepare(evaluate, blocks, n_rows, effort.seconds) for name, evaluate in right.items()}
        turns = take_turns(measures, effort.n_turns)
        found, times_xgboost = medians(turns), ratios(turns, XGBOOST)
        for name in right:
            yield ForestTime(n_trees, n_rows, name, 1e6 / found[name], times_xgboost[name])


def _make_checked(
    make: Callable[[xgboost.Booster], Evaluate],
    booster: xgboost.Booster,
    rows: FloatMatrix,
    expected: FloatMatrix,
) -> Evaluate:
    evaluate = make(booster)
    for block in (slice(0, 1), slice(None)):
        apart = float(np.abs(evaluate(rows[block]) - expected[block]).max())
        if not apart <= _MOST_APART:  # nor is NaN
            raise ValueError(f"wrong by {apart:.2g}")
    return evaluate


def _prepare(evaluate: Evaluate, blocks: Iterator[FloatMatrix], n_rows: int, seconds: float) -> Callable[[], float]:
    evaluate(next(blocks))
    once = n_rows / _rows_per_s(evaluate, blocks, n_rows, 1)
    return partial(_rows_per_s, evaluate, blocks, n_rows, max(1, int(seconds / once)))


def _rows_per_s(evaluate: Evaluate, blocks: Iterator[FloatMatrix], n_rows: int, n_calls: int) -> float:
    given = list(islice(blocks, n_calls))
    begun = time.perf_counter()
    for block in given:
        evaluate(block)
    return n_rows * n_calls / (time.perf_counter() - begun)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write a file of JSON: the times and the versions."""
    parser = ArgumentParser(prog="python -m benchmarks.forest_time")
    parser.add_argument("file", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    times = [asdict(found) for found in measure_forests(QUICK if options.quick else FULL)]
    versions = {package: version(package) for package in PACKAGES}
    options.file.write_text(json.dumps({"times": times, "versions": versions}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
