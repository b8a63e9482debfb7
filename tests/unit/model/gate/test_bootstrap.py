"""How certain it is that one model is better: by days, the same draws for both, the same figures every time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model.gate.bootstrap import days_of, draw_blocks, draw_gains, measure_gain
from model.training.binary import BinaryClassification

TASK = BinaryClassification()
RNG = np.random.default_rng(5)
N_DAYS, N_A_DAY = 28, 100
MOMENTS = pd.Series(pd.date_range("2013-11-01", periods=N_DAYS, freq="D", tz="UTC").repeat(N_A_DAY))
DAYS = days_of(MOMENTS)
CHANCES = RNG.beta(2, 5, N_DAYS * N_A_DAY)
OUTCOMES = (RNG.random(len(CHANCES)) < CHANCES).astype(np.int8)
NOISY = np.clip(CHANCES + RNG.normal(0, 0.15, len(CHANCES)), 0, 1)


def test_a_model_is_not_better_than_itself() -> None:
    """The draws are paired: there is no noise between equal answers."""
    assert measure_gain(TASK, OUTCOMES, NOISY, NOISY) == 0
    assert draw_gains(TASK, OUTCOMES, NOISY, NOISY, DAYS, 0.95) == (0, 0)


def test_a_better_model_is_better_for_certain_and_a_worse_one_worse() -> None:
    """The range lies on the gain's side of 0, and around it."""
    gain, (low, high) = (
        measure_gain(TASK, OUTCOMES, CHANCES, NOISY),
        draw_gains(TASK, OUTCOMES, CHANCES, NOISY, DAYS, 0.95),
    )
    assert 0 < low < gain < high
    assert measure_gain(TASK, OUTCOMES, NOISY, CHANCES) == -gain
    assert draw_gains(TASK, OUTCOMES, NOISY, CHANCES, DAYS, 0.95) == pytest.approx((-high, -low))


def test_rows_of_one_day_are_not_so_many_proofs() -> None:
    """A model that is better on a single bad day is better by chance: rows drawn one by one would be sure of it."""
    answers = NOISY.copy()
    bad_day = MOMENTS.dt.day.to_numpy() == 14
    answers[bad_day] = OUTCOMES[bad_day]
    assert measure_gain(TASK, OUTCOMES, answers, NOISY) > 0.01
    by_days = draw_gains(TASK, OUTCOMES, answers, NOISY, DAYS, 0.95)
    by_rows = draw_gains(TASK, OUTCOMES, answers, NOISY, np.arange(len(DAYS)), 0.95)
    assert by_days.low <= 0 < by_rows.low


def test_days_are_drawn_as_often_as_there_are_days() -> None:
    """With replacement, and the same ones again."""
    draws = draw_blocks(N_DAYS, 50)
    assert draws.shape == (50, N_DAYS)
    assert (draws.sum(axis=1) == N_DAYS).all()
    assert (draws > 1).any()
    assert np.array_equal(draws, draw_blocks(N_DAYS, 50))
    assert np.array_equal(np.unique(DAYS, return_counts=True)[1], np.full(N_DAYS, N_A_DAY))


def test_one_outcome_alone_measures_nothing() -> None:
    """And says so, rather than 0."""
    none = np.zeros(len(OUTCOMES))
    assert np.isnan(measure_gain(TASK, none, CHANCES, NOISY))
    assert np.isnan(draw_gains(TASK, none, CHANCES, NOISY, DAYS, 0.95)).all()
