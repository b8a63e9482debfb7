"""What models in tests are made with: `params.yaml`, but for the example's own days and what a test changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd

from model.flights.tables import TIME_ZONE
from model.parameters import Parameters, TrainingParameters, read_parameters

STOP_FROM, TEST_FROM = (pd.Timestamp(day, tz=TIME_ZONE) for day in ("2013-09-01", "2013-11-01"))


def make_training_parameters(**changes: Any) -> TrainingParameters:
    """Those of the file, but for these."""
    return replace(read_parameters().train, **changes)


def make_parameters(**changes: Any) -> Parameters:
    """The same with all else that a model is made with."""
    return replace(
        read_parameters(),
        until="2013-12",
        stop_from=date(2013, 9, 1),
        test_from=date(2013, 11, 1),
        train=make_training_parameters(**changes),
    )
