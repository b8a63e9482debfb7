"""What the benchmark of a cluster measures with, and how it tells it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.distributed import N_ROWS, N_WORKERS, resample, tabulate
from model.datasets.dataset import Dataset


def test_rows_are_drawn_in_the_order_of_their_moments() -> None:
    """Each with its own outcome, some several times, and the same ones every time."""
    moments = pd.Series(pd.date_range("2013-01-01", periods=50, freq="h", tz="UTC"))
    dataset = Dataset(pd.DataFrame({"x": np.arange(50.0)}), (np.arange(50) % 2).astype(np.int8), moments)
    drawn = resample(dataset, 200)
    assert (drawn.n_rows, drawn.moments.is_monotonic_increasing) == (200, True)
    assert (drawn.features["x"] % 2 == drawn.outcomes).all()
    assert (drawn.features["x"].diff().dropna() == 0).any()
    assert drawn.digest() == resample(dataset, 200).digest()


def test_growth_and_speed_stand_beside_the_times() -> None:
    """Growth from the fewest rows to the most, speed beside one worker."""
    seconds = {
        (what, n_rows, n_workers): n_rows / 1e5 / max(n_workers, 1)
        for what in ("train", "score")
        for n_rows in N_ROWS
        for n_workers in N_WORKERS
    }
    *_, last = tabulate(seconds).strip().splitlines()
    assert [cell.strip() for cell in last.strip("|").split("|")] == ["score, 2 workers", "1.5", "15", "× 10.0", "2.00"]
