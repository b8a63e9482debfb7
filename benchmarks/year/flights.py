"""The year's flights in weeks, as they are asked, and what is known of them when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from model.datasets.dataset import Dataset

# What came true of a flight is told so long after the week in which it was asked.
LAG = pd.Timedelta(weeks=2)
_WEEK = pd.Timedelta(weeks=1)


@dataclass(frozen=True)
class Week:
    """
    Flights that are asked together; weeks end where months do, so one may have fewer days.

    Attributes
    ----------
    start, end : pandas.Timestamp
    flights : Dataset
    """

    start: pd.Timestamp
    end: pd.Timestamp
    flights: Dataset

    @property
    def month(self) -> str:
        """Such as ``2013-03``."""
        return f"{self.start:%Y-%m}"


def weeks_of(dataset: Dataset, months: list[str], time_zone: str) -> Iterator[Week]:
    """The weeks of some months, one after the other."""
    for month in months:
        start = pd.Timestamp(f"{month}-01", tz=time_zone)
        end_of_month = start + pd.offsets.MonthBegin()
        while start < end_of_month:
            end = start + _WEEK
            # A rest of a few days goes with the week before.
            if end + _WEEK / 2 > end_of_month:
                end = end_of_month
            chosen = ((dataset.moments >= start) & (dataset.moments < end)).to_numpy()
            yield Week(start, end, dataset.select(chosen))
            start = end


def last_known_month(now: pd.Timestamp) -> str:
    """The last month of which every outcome has been told by then."""
    return f"{(now - LAG).tz_localize(None).to_period('M') - 1}"
