"""
What will a bicycle station be asked for in the next hour? A project to copy, and then to make one's own.

Whatever stands here is yours to change; nothing in the other folders of `model/` is. docs/training.md leads through it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from model.datasets.dataset import Dataset, FeatureColumn
from model.datasets.validation import Column, Table
from model.errors import DataInvalid
from model.expectations import Expectation, Rises, Within
from model.project import ModelDescription
from model.single_table import SingleTable
from model.training.regression import Regression

DATA = Path(__file__).with_name("rentals.csv")


class Rentals(SingleTable):
    """The rentals of a station, hour by hour."""

    # 1. What kind of prediction, from the files of `model/training`: Regression(), BinaryClassification() or
    # MulticlassClassification(["a", "b", "c"]). It decides what XGBoost learns by, and what a model is measured with.
    task = Regression()

    # 2. The columns of the table, and what they hold. A value that is anything else ends the training, with file,
    # column and row. `key` is what no two rows have in common.
    table = Table(
        "rentals",
        (
            Column("hour", "moment", format="%Y-%m-%d %H:%M"),
            Column("station", "text", pattern="[A-Z][0-9]{3}"),
            Column("temperature", "number", -40, 50, may_be_missing=True),  # °C
            Column("rentals", "integer", 0, 1_000),
        ),
        key=("station", "hour"),
    )

    # 3. Which of them says when a row was, and by whose clock: by that, and never at random, rows are split.
    moment = "hour"
    time_zone = "Europe/Vienna"

    # 4. The features, in the order of the model, with their units: what is known when somebody asks, and nothing later.
    # A "string" is a category; only a "double" may be missing. `prediction` ends the sentence "A prediction is …".
    description = ModelDescription(
        prediction="the number of bicycles that are rented at the station within the next hour",
        unknown_category="missing",  # or "reject", and a caller who asks for one is told so
        features=(
            FeatureColumn("station", "string", True, "code of the station, such as A001"),
            FeatureColumn("hour_of_day", "long", True, "hour of the clock, 0 to 23"),
            FeatureColumn("is_weekend", "long", True, "1 on Saturday and Sunday, else 0"),
            FeatureColumn("temperature", "double", False, "°C"),
            FeatureColumn("rentals", "long", True, "in the hour that has just ended"),
        ),
    )

    # 5. What a new version is asked before it takes another's place, beside being better: docs/training.md, "The gate".
    slices: tuple[str, ...] = ("station",)  # categories; in none of their values may it be worse
    expectations: tuple[Expectation, ...] = (
        Within(-1, 1_000),
        Rises("temperature", 0, 20),  # in the mean over all rows, from one value of it to another
    )
    known_later: frozenset[str] = frozenset()  # columns that nobody knows when asking: no feature may be called so

    def find(self) -> tuple[str, Path]:
        """The file beside this one."""
        # 6. Where the published table is, and its name with its version. For a file inside a package of PyPI's:
        #     package = importlib.metadata.distribution("its-name")
        #     return f"its-name {package.version}", Path(str(package.locate_file("folder/file.csv")))
        if not DATA.exists():
            raise DataInvalid("there is no such file beside project.py", DATA.name)
        return "rentals of 2025, first edition", DATA

    def build(self, rows: pd.DataFrame) -> Dataset:
        """For each hour whose next one is known: what was known at its end, and what came."""
        # 7. From checked rows to instances: features, outcomes, and the moments by which they are split. Here the
        # outcome is the next hour's value of the same station.
        rows = rows.sort_values(["moment", "station"], ignore_index=True)
        coming = rows.groupby("station")[["moment", "rentals"]].shift(-1)
        is_next = (coming["moment"] - rows["moment"] == pd.Timedelta(hours=1)).to_numpy()
        derived = rows.assign(
            hour_of_day=rows["moment"].dt.hour.astype(np.int64),
            is_weekend=(rows["moment"].dt.day_of_week >= 5).astype(np.int64),  # noqa: PLR2004  Saturday
        )
        return Dataset(
            features=derived.loc[is_next, [feature.name for feature in self.description.features]].reset_index(
                drop=True
            ),
            outcomes=coming.loc[is_next, "rentals"].to_numpy(np.float64),
            moments=rows.loc[is_next, "moment"].reset_index(drop=True),
        )


PROJECT = Rentals()
