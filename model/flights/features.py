"""
The question of the example, and the features that may answer it.

Will the flight arrive more than 15 minutes late? A feature is known when the flight is
scheduled, or is the weather at its scheduled hour; nothing that happens later may be one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from model.datasets.dataset import Dataset, FeatureColumn
from model.flights.tables import TIME_ZONE, Tables

LATE_AFTER_MIN = 15
_MINUTES_A_DAY = 24 * 60

# In the booster's order. The sixteenth number of the tables, wind_gust, is missing in 80 % of
# the hours and lost nothing when sched_minutes took its place.
FEATURES = (
    FeatureColumn("carrier", "string", True, "airline, two-character code"),
    FeatureColumn("origin", "string", True, "airport of departure: EWR, JFK or LGA"),
    FeatureColumn("dest", "string", True, "airport of arrival, three-letter code"),
    FeatureColumn("hour", "long", True, "hour of the scheduled departure, New York's clock"),
    FeatureColumn("minute", "long", True, "minute of the scheduled departure"),
    FeatureColumn("day_of_week", "long", True, "of the scheduled departure: 1 is Monday, 7 is Sunday"),
    FeatureColumn("distance", "long", True, "between the airports, miles"),
    FeatureColumn(
        "sched_minutes",
        "long",
        True,
        "scheduled arrival minus departure, each on its own airport's clock, minutes from 0 to 1439",
    ),
    FeatureColumn("temp", "double", False, "temperature at the origin, °F"),
    FeatureColumn("dewp", "double", False, "dew point, °F"),
    FeatureColumn("humid", "double", False, "relative humidity, %"),
    FeatureColumn("wind_dir", "double", False, "wind direction, degrees"),
    FeatureColumn("wind_speed", "double", False, "wind speed, mph"),
    FeatureColumn("precip", "double", False, "precipitation in the hour, inches"),
    FeatureColumn("pressure", "double", False, "air pressure at sea level, mbar"),
    FeatureColumn("visib", "double", False, "visibility, miles"),
    FeatureColumn("plane_age", "double", False, "years since the plane was built"),
    FeatureColumn("seats", "double", False, "seats of the plane"),
)
_WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]


def build_dataset(tables: Tables) -> tuple[Dataset, int]:
    """
    Join the tables and derive features and outcomes.

    Returns
    -------
    Dataset
        The flights that arrived, by their moments, which are their scheduled departures, then by carrier, number and
        origin: in whichever order they were told, the data set is the same.
    int
        How many flights have no outcome, because they were cancelled or diverted, and were dropped.
    """
    arrived = tables.flights.loc[tables.flights["arr_delay"].notna()].sort_values(
        ["time_hour", "minute", "carrier", "flight", "origin"]
    )
    planes = tables.planes.rename(columns={"year": "built"})
    # The keys on the right side are unique (the tables are checked for it): every flight stays one row.
    joined = arrived.merge(
        tables.weather[["origin", "time_hour", *_WEATHER]], on=["origin", "time_hour"], how="left", validate="m:1"
    ).merge(planes, on="tailnum", how="left", validate="m:1")
    departure = joined["time_hour"].dt.tz_convert(TIME_ZONE) + pd.to_timedelta(joined["minute"], unit="min")
    derived = joined.assign(
        day_of_week=departure.dt.isocalendar().day.astype(np.int64),
        sched_minutes=(_to_minutes(joined["sched_arr_time"]) - _to_minutes(joined["sched_dep_time"])) % _MINUTES_A_DAY,
        plane_age=joined["year"] - joined["built"],
    )
    dataset = Dataset(
        features=derived[[feature.name for feature in FEATURES]],
        outcomes=(joined["arr_delay"] > LATE_AFTER_MIN).to_numpy().astype(np.int8),
        moments=departure.rename("scheduled departure"),
    )
    return dataset, len(tables.flights) - len(arrived)


def _to_minutes(clock: pd.Series) -> pd.Series:
    """Minutes since midnight of clock times such as 1305."""
    return clock // 100 * 60 + clock % 100
