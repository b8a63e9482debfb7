"""
How certain it is that one model is better than another: the paired bootstrap over days.

Rows of one day share their weather and their delays, so days are drawn and not rows: drawing rows would promise a
certainty that is not there. Both models are measured on the same draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.training.task import Task

N_DRAWS = 1_000
LEAST_BLOCKS = 7  # of which something can be said
_SEED = 20_130_101
_DRAWS_AT_ONCE = 50  # weights take 8 bytes a row and draw


class Range(NamedTuple):
    """Between what a figure lies: each end is exceeded with one minus the confidence."""

    low: float
    high: float


def measure_gain(task: Task, outcomes: npt.ArrayLike, challenger: npt.ArrayLike, champion: npt.ArrayLike) -> float:
    """
    By how much a challenger's headline metric is better than a champion's on the same rows.

    Parameters
    ----------
    task : Task
    outcomes, challenger, champion : array_like, shape (n_rows, ...)

    Returns
    -------
    float
        Below 0 where it is worse; NaN where the rows leave nothing to measure.
    """
    once = np.ones((1, len(np.asarray(outcomes))))
    return float(_gains(task, outcomes, challenger, champion, once)[0])


def draw_blocks(n_blocks: int, n_draws: int = N_DRAWS) -> npt.NDArray[np.int64]:
    """
    Draw as many blocks as there are, with replacement, again and again; the same draws for the same number.

    Returns
    -------
    numpy.ndarray of int, shape (n_draws, n_blocks)
        How often each block was drawn.
    """
    return np.random.default_rng(_SEED).multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_draws)


def days_of(moments: pd.Series) -> npt.NDArray[np.int64]:
    """Which day each moment is of, numbered from 0 in their order."""
    days: npt.NDArray[np.int64] = pd.factorize(moments.dt.date, sort=True)[0].astype(np.int64)
    return days


def draw_gains(
    task: Task,
    outcomes: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    blocks: npt.NDArray[np.int64],
    confidence: float,
) -> Range:
    """
    Say between what `measure_gain` lies, by its values in days that are drawn.

    Parameters
    ----------
    task : Task
    outcomes, challenger, champion : array_like, shape (n_rows, ...)
    blocks : numpy.ndarray of int, shape (n_rows,)
        From 0 on: rows of one block, such as a day, are drawn together.
    confidence : float
        Of each end.

    Returns
    -------
    Range
        NaN where no draw leaves anything to measure.
    """
    draws = draw_blocks(int(blocks.max()) + 1)
    gains = np.concatenate(
        [
            _gains(task, outcomes, challenger, champion, draws[start : start + _DRAWS_AT_ONCE, blocks].astype(float))
            for start in range(0, len(draws), _DRAWS_AT_ONCE)
        ]
    )
    if not np.isfinite(gains).any():
        return Range(np.nan, np.nan)
    low, high = np.nanquantile(gains, [1 - confidence, confidence])
    return Range(float(low), float(high))


def _gains(
    task: Task,
    outcomes: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    weights: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    ours, theirs = (task.weighted_headline(outcomes, answers, weights) for answers in (challenger, champion))
    return ours - theirs if task.is_higher_better else theirs - ours
