"""The split is by time: nothing later ever teaches what is measured on something earlier."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model.datasets.dataset import Dataset
from model.datasets.split import split_by_time
from model.errors import TrainingError
from model.flights.tables import TIME_ZONE
from tests.parameters import STOP_FROM, TEST_FROM


def make_dataset(moments: list[str], outcomes: list[int] | None = None) -> Dataset:
    """A data set whose only feature is the row's number."""
    n_rows = len(moments)
    return Dataset(
        pd.DataFrame({"row": np.arange(n_rows)}),
        np.array(outcomes if outcomes is not None else [0, 1] * n_rows, dtype=np.int8)[:n_rows],
        pd.Series(pd.to_datetime(moments).tz_localize(TIME_ZONE)),
    )


def test_the_sides_are_disjoint_ordered_and_whole() -> None:
    """Every row is on one side, whatever its place in the table, and each side is later than the one before."""
    days = [str(day.date()) for day in pd.date_range("2013-01-01", "2013-12-30")]
    order = np.random.default_rng(0).permutation(len(days))
    split = split_by_time(make_dataset([days[i] for i in order]), STOP_FROM, TEST_FROM)
    rows = [set(side.features["row"]) for side in (split.fit, split.stop, split.test)]
    assert sum(map(len, rows)) == len(days) == len(set.union(*rows))
    assert split.fit.moments.max() < split.stop.moments.min()
    assert split.stop.moments.max() < split.test.moments.min()
    assert (split.fit.moments.max().month, split.stop.moments.max().month) == (8, 10)


def test_a_boundary_is_new_yorks_midnight() -> None:
    """The last flights of 31 August leave on 1 September in UTC, and are August's all the same."""
    moments = ["2013-08-31 10:00", "2013-08-31 23:59", "2013-09-01 00:00", "2013-09-02 09:00"]
    moments += ["2013-11-01 00:00", "2013-11-02 09:00"]
    split = split_by_time(make_dataset(moments), STOP_FROM, TEST_FROM)
    assert split.fit.features["row"].tolist() == [0, 1]
    assert split.stop.features["row"].tolist() == [2, 3]
    assert split.test.features["row"].tolist() == [4, 5]


def test_a_side_without_rows_is_refused() -> None:
    """The boundaries are told, and from when to when there are rows."""
    with pytest.raises(TrainingError, match="there are no stop rows: rows are split at 2013-09-01 and 2013-11-01") as e:
        split_by_time(make_dataset(["2013-01-01", "2013-12-02"]), STOP_FROM, TEST_FROM)
    assert str(e.value).endswith("go from 2013-01-01 to 2013-12-02")
