"""A split on whose sides a task can learn and measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model.datasets.dataset import Dataset
from model.errors import TrainingError
from model.flights.project import PROJECT
from model.flights.tables import TIME_ZONE
from model.pipeline.steps import split_dataset, until_month
from tests.parameters import make_parameters

DAYS = pd.Series(pd.date_range("2013-01-15", periods=12, freq="30D", tz=TIME_ZONE))


@pytest.mark.parametrize(("side", "months"), [("fit", range(1, 9)), ("stop", range(9, 11)), ("test", range(11, 13))])
def test_a_side_with_one_outcome_is_refused(side: str, months: range) -> None:
    """Nothing can be learnt or measured on it; the side and the boundaries are told."""
    mixed = np.array([0, 1] * 6, dtype=np.int8)
    features = pd.DataFrame({"row": np.arange(12)})
    split_dataset(PROJECT, Dataset(features, mixed, DAYS), make_parameters())
    one = np.where(DAYS.dt.month.isin(list(months)), 1, mixed)
    with pytest.raises(TrainingError, match=f"the {side} rows need both outcomes, 0 and 1, and no others; ") as told:
        split_dataset(PROJECT, Dataset(features, one, DAYS), make_parameters())
    assert str(told.value).endswith(" yes and 0 no; they are split at 2013-09-01 and 2013-11-01")


def test_a_month_before_all_rows_is_refused() -> None:
    """As `params.yaml` has it that was not changed for other data."""
    dataset = Dataset(pd.DataFrame({"row": np.arange(12)}), np.array([0, 1] * 6, dtype=np.int8), DAYS)
    assert until_month(PROJECT, dataset, "2013-01").n_rows == 1
    with pytest.raises(TrainingError, match=r"no rows until 2012-12, which is data\.until; they begin with 2013-01"):
        until_month(PROJECT, dataset, "2012-12")


def test_other_outcomes_than_yes_and_no_are_refused() -> None:
    """Codes of classes, say, of a project that names the wrong task."""
    dataset = Dataset(pd.DataFrame({"row": np.arange(12)}), np.array([0, 1, 2] * 4, dtype=np.int8), DAYS)
    with pytest.raises(TrainingError, match="the fit rows need both outcomes, 0 and 1, and no others"):
        split_dataset(PROJECT, dataset, make_parameters())
