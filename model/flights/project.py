"""Will this flight arrive more than 15 minutes late? The project that `model/names.py` names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from model.datasets.dataset import Dataset
from model.expectations import Expectation, Rises, Steady, Within
from model.flights.features import FEATURES, LATE_AFTER_MIN, build_dataset
from model.flights.fetch import fetch
from model.flights.tables import TIME_ZONE, find_data, months_of, read_tables
from model.progress import Progress
from model.project import ModelDescription, Project
from model.training.binary import BinaryClassification


class FlightDelay(Project):
    """The flights out of New York in 2013."""

    task = BinaryClassification(decision_threshold=0.5)
    description = ModelDescription(
        prediction=f"probability that the flight arrives more than {LATE_AFTER_MIN} minutes late",
        # New destinations open during the year, and a flight there has a delay all the same.
        unknown_category="missing",
        features=FEATURES,
    )
    time_zone = TIME_ZONE
    slices: tuple[str, ...] = ("carrier", "origin")
    expectations: tuple[Expectation, ...] = (
        Within(0, 1),
        Rises("hour", 6, 18),  # a late plane is late again on its next flight, and delays add up over the day
        Rises("precip", 0, 0.3),
        Rises("visib", 10, 1),
        Steady("minute", by=1, within=0.02),
        Steady("distance", by=10, within=0.02),
    )
    known_later = frozenset({"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"})

    def name_source(self, folder: Path | None) -> str:
        """The pinned package, or the folder."""
        return find_data(folder).name

    def fetch(self, folder: Path, until: str) -> list[str]:
        """Let the months of the package arrive."""
        return fetch(find_data(), folder, until)

    def count(self, folder: Path) -> pd.DataFrame:
        """Flights, those without an outcome, and destinations of each month."""
        flights = read_tables(find_data(folder)).flights
        report = flights.groupby(months_of(flights).rename("month")).agg(
            rows=("dest", "size"),
            without_outcome=("arr_delay", lambda delays: delays.isna().sum()),
            destinations=("dest", "nunique"),
        )
        return report.reset_index()

    def read(self, folder: Path | None, until: str, progress: Progress) -> Dataset:  # noqa: ARG002  no row looks ahead
        """Join flights, weather and planes, and say what they have."""
        tables = read_tables(find_data(folder))
        dataset, n_dropped = build_dataset(tables)
        no_weather = int(dataset.features["temp"].isna().sum())
        progress.say(
            f"{len(tables.flights):,} flights; {n_dropped:,} cancelled or diverted, without an outcome, are dropped; "
            f"{no_weather:,} others have no weather; {tables.n_mended} known wrong value(s) made missing"
        )
        return dataset


PROJECT = FlightDelay()
