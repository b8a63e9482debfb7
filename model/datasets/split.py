"""
The split by time: fit on the past, stop on what follows, test on what follows that.

Rows of one day have much in common. A random split would put them on both sides and promise a
model that service never sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from model.datasets.dataset import Dataset
from model.errors import TrainingError


@dataclass(frozen=True)
class Split:
    """
    Three data sets, each later than the one before.

    Attributes
    ----------
    fit : Dataset
        What the trees are grown on.
    stop : Dataset
        What says when to stop growing them.
    test : Dataset
        What the model has never met: its metrics are the model's.
    """

    fit: Dataset
    stop: Dataset
    test: Dataset

    @property
    def sides(self) -> dict[str, Dataset]:
        """Each by its name, in their order."""
        return {"fit": self.fit, "stop": self.stop, "test": self.test}


def midnight(day: pd.Timestamp, time_zone: Any) -> pd.Timestamp:
    """When a day begins on a clock; where that skips midnight, as some do in spring, an hour later."""
    return day.tz_localize(time_zone, nonexistent="shift_forward", ambiguous=True)


def split_by_time(dataset: Dataset, stop_from: pd.Timestamp, test_from: pd.Timestamp) -> Split:
    """
    Split at two moments; a row at a boundary belongs to the later side.

    Raises
    ------
    TrainingError
        If a side has no rows.
    """
    moments = dataset.moments
    split = Split(
        fit=dataset.select((moments < stop_from).to_numpy()),
        stop=dataset.select(((moments >= stop_from) & (moments < test_from)).to_numpy()),
        test=dataset.select((moments >= test_from).to_numpy()),
    )
    for name, side in split.sides.items():
        if not side.n_rows:
            raise TrainingError(
                f"there are no {name} rows: rows are split at {stop_from:%Y-%m-%d} and {test_from:%Y-%m-%d}, and go "
                f"from {moments.min():%Y-%m-%d} to {moments.max():%Y-%m-%d}"
            )
    return split
