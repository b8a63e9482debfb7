"""The three CSV files in small: a few valid rows, in which a test changes what it wants wrong."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
Row = dict[str, Any]

# As in the published files; NA is how they write a missing value.
FLIGHT_COLUMNS = [
    "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay",
    "carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour",
]  # fmt: skip
WEATHER_COLUMNS = [
    "origin", "year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust",
    "precip", "pressure", "visib", "time_hour",
]  # fmt: skip
PLANE_COLUMNS = ["tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "speed", "engine"]


def flight(local: str = "2013-01-15T13:05", *, fold: int = 0, **changes: Any) -> Row:
    """Describe a flight by its scheduled departure on New York's clock; `fold` 1 is an hour that comes again."""
    departure = datetime.fromisoformat(local).replace(tzinfo=NEW_YORK, fold=fold)
    row: Row = {
        "year": departure.year, "month": departure.month, "day": departure.day,
        "dep_time": 1306, "sched_dep_time": departure.hour * 100 + departure.minute, "dep_delay": 1,
        "arr_time": 1610, "sched_arr_time": 1605, "arr_delay": 5,
        "carrier": "UA", "flight": 1, "tailnum": "N10156", "origin": "EWR", "dest": "IAH",
        "air_time": 170, "distance": 1400, "hour": departure.hour, "minute": departure.minute,
        "time_hour": _full_hour(departure),
    }  # fmt: skip
    return row | changes


def weather(local: str = "2013-01-15T13:00", *, fold: int = 0, **changes: Any) -> Row:
    """Describe the weather of an hour on New York's clock."""
    hour = datetime.fromisoformat(local).replace(tzinfo=NEW_YORK, fold=fold)
    row: Row = {
        "origin": "EWR", "year": hour.year, "month": hour.month, "day": hour.day, "hour": hour.hour,
        "temp": 39.02, "dewp": 26.06, "humid": 59.37, "wind_dir": 270, "wind_speed": 10.35702, "wind_gust": "NA",
        "precip": 0, "pressure": 1012, "visib": 10, "time_hour": _full_hour(hour),
    }  # fmt: skip
    return row | changes


def plane(**changes: Any) -> Row:
    """Describe a plane."""
    row: Row = {
        "tailnum": "N10156", "year": 2004, "type": "Fixed wing multi engine", "manufacturer": "EMBRAER",
        "model": "EMB-145XR", "engines": 2, "seats": 55, "speed": "NA", "engine": "Turbo-fan",
    }  # fmt: skip
    return row | changes


def write_data(
    folder: Path,
    flights: Sequence[Mapping[str, Any]] | None = None,
    hours: Sequence[Mapping[str, Any]] | None = None,
    planes: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Write the three files; three valid rows for each table that is not given."""
    folder.mkdir(parents=True, exist_ok=True)
    flights = flights if flights is not None else [flight(flight=number) for number in (1, 2, 3)]
    hours = hours if hours is not None else [weather(f"2013-01-15T{hour}:00") for hour in (12, 13, 14)]
    planes = planes if planes is not None else [plane(tailnum=tail) for tail in ("N10156", "N102UW", "N103US")]
    write_flights(folder, to_csv(flights, FLIGHT_COLUMNS))
    (folder / "weather.csv").write_text(to_csv(hours, WEATHER_COLUMNS), encoding="utf-8")
    (folder / "planes.csv").write_text(to_csv(planes, PLANE_COLUMNS), encoding="utf-8")
    return folder


def write_flights(folder: Path, text: str) -> None:
    """Write the flights, which are zipped, from a CSV text."""
    with zipfile.ZipFile(folder / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", text)


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Write rows as a CSV text, with a column for each name in `columns`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _full_hour(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(minute=0).strftime("%Y-%m-%dT%H:%M:%SZ")
