"""
The windows of time that a trial is measured in.

The last is the split of training: fit before `stop_from`, stop until `test_from`. The one before it is as long and
ends where the last begins. Two differ less by luck than one, and each is a future that its trees have not seen.
The rows from `test_from` on are in none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xgboost

from model.datasets.dataset import Dataset, collect_categories, encode_categories
from model.errors import TrainingError
from model.parameters import Parameters

N_WINDOWS = 2


@dataclass(frozen=True)
class Window:
    """
    Rows to grow trees on, and later ones that say when to stop and how good they are.

    Attributes
    ----------
    name : str
        The first and the last day of the later ones.
    fit, stop : xgboost.DMatrix
    """

    name: str
    fit: xgboost.DMatrix
    stop: xgboost.DMatrix


def drop_test_rows(dataset: Dataset, parameters: Parameters, time_zone: str) -> Dataset:
    """The rows that a search may see."""
    return dataset.select((dataset.moments < pd.Timestamp(parameters.test_from, tz=time_zone)).to_numpy())


def list_spans(parameters: Parameters) -> list[tuple[str, str]]:
    """From which day on and before which day a window's later rows are, window by window."""
    length = parameters.test_from - parameters.stop_from
    return [
        ((parameters.stop_from - ago * length).isoformat(), (parameters.test_from - ago * length).isoformat())
        for ago in reversed(range(N_WINDOWS))
    ]


def make_windows(visible: Dataset, parameters: Parameters, time_zone: str) -> list[Window]:
    """
    Cut what a search may see.

    Parameters
    ----------
    visible : Dataset
        As `drop_test_rows` leaves it.
    parameters : Parameters
    time_zone : str
        In whose midnights the days of the split begin.

    Raises
    ------
    TrainingError
        If a window has nothing to learn or to measure.
    """
    windows = []
    for first, end in list_spans(parameters):
        begins, ends = (pd.Timestamp(day, tz=time_zone) for day in (first, end))
        earlier = visible.select((visible.moments < begins).to_numpy())
        later = visible.select(((visible.moments >= begins) & (visible.moments < ends)).to_numpy())
        for name, side in (("before", earlier), ("in", later)):
            if np.unique(side.outcomes).size < 2:  # noqa: PLR2004  one outcome teaches nothing
                raise TrainingError(
                    f"the search measures from {first} until before {end}, and {name} that time are "
                    f"{side.n_rows:,} rows without two different outcomes; set split in params.yaml to what there is"
                )
        categories = collect_categories(earlier.features)
        fit, stop = (
            xgboost.DMatrix(encode_categories(side.features, categories), side.outcomes, enable_categorical=True)
            for side in (earlier, later)
        )
        windows.append(Window(f"{first} to before {end}", fit, stop))
    return windows


def prefers_higher(window: Window, settings: Mapping[str, Any]) -> bool:
    """Ask XGBoost whether it takes more of the stopping metric for better, as it does when it stops early."""
    stopping = xgboost.callback.EarlyStopping(rounds=1)
    xgboost.train(
        dict(settings), window.fit, 1, evals=[(window.stop, "stop")], callbacks=[stopping], verbose_eval=False
    )
    return bool(stopping.maximize)


def count_rows(windows: Sequence[Window]) -> dict[str, int]:
    """How many rows each window has before and in it."""
    return {
        f"window_{number}_{side}_rows": matrix.num_row()
        for number, window in enumerate(windows, 1)
        for side, matrix in (("fit", window.fit), ("stop", window.stop))
    }
