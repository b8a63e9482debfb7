"""
What will the weather be in Seattle tomorrow? A second model, made of `model/template` as docs/training.md says.

The data is the file in the package `vega_datasets` (National Centers for Environmental Information, 2012 to 2015),
which is found and never imported.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pandas as pd

from model.datasets.dataset import Dataset, FeatureColumn
from model.datasets.validation import Column, Table
from model.errors import DataInvalid
from model.expectations import Expectation, Rises, Steady, Within
from model.project import ModelDescription
from model.single_table import SingleTable
from model.training.multiclass import MulticlassClassification

PACKAGE = "vega-datasets"
WEATHER = ("drizzle", "fog", "rain", "snow", "sun")


class SeattleWeather(SingleTable):
    """Four years of days."""

    task = MulticlassClassification(WEATHER)
    table = Table(
        "seattle-weather",
        (
            Column("date", "moment", format="%Y/%m/%d"),
            Column("precipitation", "number", 0, 200),  # mm
            Column("temp_max", "number", -20, 45),  # °C
            Column("temp_min", "number", -25, 35),  # °C
            Column("wind", "number", 0, 40),  # m/s
            Column("weather", "text", codes=frozenset(WEATHER)),
        ),
        key=("date",),
    )
    moment = "date"
    time_zone = "America/Los_Angeles"
    description = ModelDescription(
        prediction="the probability of each kind of weather in Seattle on the next day",
        unknown_category="reject",
        features=(
            FeatureColumn("weather", "string", True, "of today: drizzle, fog, rain, snow or sun"),
            FeatureColumn("day_of_year", "long", True, "1 to 366"),
            FeatureColumn("precipitation", "double", False, "of today, mm"),
            FeatureColumn("temp_max", "double", False, "of today, °C"),
            FeatureColumn("temp_min", "double", False, "of today, °C"),
            FeatureColumn("wind", "double", False, "of today, mean speed in m/s"),
        ),
    )

    slices: tuple[str, ...] = ("weather",)
    expectations: tuple[Expectation, ...] = (
        Within(0, 1),
        Rises("temp_max", 20, 0, code=WEATHER.index("snow")),
        Steady("wind", by=0.1, within=0.05),
    )

    def find(self) -> tuple[str, Path]:
        """The file in the installed package."""
        try:
            package = distribution(PACKAGE)
        except PackageNotFoundError:
            raise DataInvalid("the package is not installed", PACKAGE) from None
        file = Path(str(package.locate_file("vega_datasets/_data/seattle-weather.csv")))
        return f"{PACKAGE} {package.version}", file

    def build(self, rows: pd.DataFrame) -> Dataset:
        """For each day whose next one is known: what it was like, and what came."""
        coming = rows[["date", "weather"]].shift(-1)
        is_next = (coming["date"] - rows["date"] == pd.Timedelta(days=1)).to_numpy()
        derived = rows.assign(day_of_year=rows["date"].dt.day_of_year.astype(np.int64)).loc[is_next]
        return Dataset(
            features=derived[[feature.name for feature in self.description.features]].reset_index(drop=True),
            outcomes=self.task.encode(coming.loc[is_next, "weather"]),
            moments=derived["moment"].reset_index(drop=True),
        )


PROJECT = SeattleWeather()
