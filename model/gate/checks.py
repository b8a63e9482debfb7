"""The checks of two models' answers to the same rows: better for certain, calibrated, and worse nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.datasets.dataset import Dataset
from model.expectations import Answers
from model.gate.bootstrap import LEAST_BLOCKS, Range, days_of, draw_gains, measure_gain
from model.gate.verdict import Check
from model.rules import GateRules
from model.training.task import Task

_SHOWN = 4  # slices by name


@dataclass(frozen=True)
class Comparison:
    """
    Both models' answers to a window.

    Attributes
    ----------
    task : Task
    window : Dataset
    challenger, champion : Answers
    """

    task: Task
    window: Dataset
    challenger: Answers
    champion: Answers

    def gain(self, rows: npt.NDArray[np.bool_] | None = None) -> float:
        """By how much the challenger's headline metric is better, on all rows or on some; NaN where it has none."""
        return measure_gain(self.task, *self._choose(rows))

    def range_of_gain(self, confidence: float, rows: npt.NDArray[np.bool_] | None = None) -> Range:
        """Between what the gain lies."""
        chosen = np.ones(self.window.n_rows, dtype=bool) if rows is None else rows
        return draw_gains(self.task, *self._choose(rows), days_of(self.window.moments[chosen]), confidence)

    def _choose(self, rows: npt.NDArray[np.bool_] | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = (self.window.outcomes, self.challenger.predictions, self.champion.predictions)
        outcomes, ours, theirs = columns if rows is None else tuple(column[rows] for column in columns)
        return outcomes, ours, theirs


def check_gain(comparison: Comparison, rules: GateRules) -> Check:
    """It is better by more than chance makes it."""
    headline, gain = comparison.task.headline, comparison.gain()
    low = comparison.range_of_gain(rules.confidence).low
    ours, theirs = (
        comparison.task.evaluate(comparison.window.outcomes, answers.predictions).get(headline, float("nan"))
        for answers in (comparison.challenger, comparison.champion)
    )
    seen = (
        f"{headline} {ours:.4f}, the champion's {theirs:.4f}; a gain of {gain:+.4f}, at least "
        f"{low:+.4f} with a probability of {rules.confidence:g}, which has to be more than {rules.least_gain:g}"
    )
    figures = {headline: ours, f"champion_{headline}": theirs, "gain": gain, "gain_low": low}
    return Check("better, and not by chance", low > rules.least_gain, seen, figures)


def check_calibration(comparison: Comparison, rules: GateRules) -> Check:
    """As much comes true as it promises."""
    ours, theirs = (
        comparison.task.evaluate(comparison.window.outcomes, answers.predictions)["calibration_error"]
        for answers in (comparison.challenger, comparison.champion)
    )
    is_calibrated = ours <= rules.calibration_error and ours <= theirs + rules.calibration_loss
    seen = (
        f"calibration error {ours:.4f}, the champion's {theirs:.4f}; at most {rules.calibration_error:g}, and not more "
        f"than {rules.calibration_loss:g} above the champion's"
    )
    figures = {"calibration_error": ours, "champion_calibration_error": theirs}
    return Check("calibrated", is_calibrated, seen, figures)


def check_slices(comparison: Comparison, slices: tuple[str, ...], rules: GateRules) -> Check:
    """It is nowhere worse by more than the bound, unless by chance."""
    worst, bad, n_slices = ("", np.inf), [], 0
    for name, rows in _find_slices(comparison.window, slices):
        gain = comparison.gain(rows)
        n_days = int(days_of(comparison.window.moments[rows]).max()) + 1
        if rows.sum() < rules.slice_rows or n_days < LEAST_BLOCKS or not np.isfinite(gain):
            continue
        n_slices += 1
        worst = min(worst, (name, gain), key=lambda one: one[1])
        # Whether it is chance takes a thousand times as long to find out.
        if gain < -rules.slice_loss and comparison.range_of_gain(rules.confidence, rows).high < 0:
            bad.append(f"{name} by {-gain:.4f} ({int(rows.sum()):,} rows)")
    bound = f"worse by more than {rules.slice_loss:g}, and not by chance"
    if not n_slices:
        return Check("worse nowhere", True, f"no slice has {rules.slice_rows:,} rows", {})
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        seen = f"{bound} in {len(bad)} of {n_slices} slices: {', '.join(bad[:_SHOWN])}{more}"
    else:
        seen = f"in none of {n_slices} slices {bound}; the least gain is {worst[1]:+.4f} in {worst[0]}"
    return Check("worse nowhere", not bad, seen, {"slice_gain": worst[1], "slices": n_slices})


def _find_slices(window: Dataset, slices: tuple[str, ...]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    columns = {name: window.features[name] for name in slices if name in window.features}
    columns["month"] = window.moments.dt.strftime("%Y-%m")
    for name, column in columns.items():
        for value in sorted(pd.unique(column.dropna())):
            yield f"{name} {value}", (column == value).to_numpy()
