"""Features are known at scheduling time, and each flight meets the weather of its own hour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model.datasets.dataset import Dataset
from model.flights.features import FEATURES, build_dataset
from model.flights.tables import FLIGHTS, find_data, read_tables
from tests.unit.model.flights.small_tables import flight, plane, weather, write_data

KNOWN_LATER = {"dep_time", "dep_delay", "arr_time", "air_time", "arr_delay"}


def build(folder: Path, **tables: Any) -> Dataset:
    """The data set of small tables."""
    return build_dataset(read_tables(find_data(write_data(folder, **tables))))[0]


def test_the_features_are_three_categories_and_fifteen_numbers() -> None:
    """The list is part of the API: a change to it is a change for every caller."""
    assert [f.name for f in FEATURES if f.type == "string"] == ["carrier", "origin", "dest"]
    assert [f.name for f in FEATURES if f.type != "string"] == [
        "hour", "minute", "day_of_week", "distance", "sched_minutes",
        "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib",
        "plane_age", "seats",
    ]  # fmt: skip


def test_what_is_always_known_is_required_and_nothing_else() -> None:
    """Weather and plane may be unknown to a caller; the schedule never is."""
    optional = {f.name for f in FEATURES if not f.required}
    assert optional == {
        "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib", "plane_age", "seats",
    }  # fmt: skip
    assert all(f.type == "double" for f in FEATURES if f.name in optional)


def test_nothing_that_happens_later_is_read_or_is_a_feature() -> None:
    """A feature from after the departure would promise a model that service never sees."""
    assert not KNOWN_LATER & {feature.name for feature in FEATURES}
    assert KNOWN_LATER & {column.name for column in FLIGHTS.columns} == {"arr_delay"}


def test_features_do_not_depend_on_what_happens_later(tmp_path: Path) -> None:
    """Whatever the flight does, its instance is the same; only the outcome follows the arrival."""
    later: dict[str, Any] = {"dep_time": 2359, "dep_delay": 600, "arr_time": 5, "air_time": 20, "arr_delay": 600}
    before = build(tmp_path / "a", flights=[flight()])
    after = build(tmp_path / "b", flights=[flight(**later)])
    assert before.features.equals(after.features)
    assert before.outcomes.tolist() == [0]
    assert after.outcomes.tolist() == [1]


@pytest.mark.parametrize(("arr_delay", "outcome"), [(-20, 0), (15, 0), (15.5, 1), (16, 1)])
def test_late_is_more_than_fifteen_minutes(tmp_path: Path, arr_delay: float, outcome: int) -> None:
    """Fifteen minutes are still in time."""
    assert build(tmp_path, flights=[flight(arr_delay=arr_delay)]).outcomes.tolist() == [outcome]


def test_flights_that_never_arrived_are_dropped_and_counted(tmp_path: Path) -> None:
    """A cancelled or diverted flight has no outcome to learn from."""
    flights = [flight(flight=1), flight(flight=2, arr_delay="NA"), flight(flight=3, carrier="AA")]
    dataset, n_dropped = build_dataset(read_tables(find_data(write_data(tmp_path, flights=flights))))
    assert n_dropped == 1
    assert dataset.features["carrier"].tolist() == ["AA", "UA"]


def test_the_order_in_which_flights_were_told_does_not_matter(tmp_path: Path) -> None:
    """They may arrive month by month, or all at once."""
    flights = [flight("2013-02-01T05:00"), flight(flight=2), flight(), flight(carrier="AA"), flight(origin="JFK")]
    told, retold = build(tmp_path / "a", flights=flights), build(tmp_path / "b", flights=flights[::-1])
    assert told.digest() == retold.digest()
    assert told.moments.is_monotonic_increasing


def test_a_row_has_the_values_of_its_own_tables(tmp_path: Path) -> None:
    """Every feature of one flight, by hand."""
    row = build(tmp_path, flights=[flight()]).features.iloc[0].to_dict()
    assert row == {
        "carrier": "UA", "origin": "EWR", "dest": "IAH", "hour": 13, "minute": 5, "day_of_week": 2,
        "distance": 1400, "sched_minutes": 180, "temp": 39.02, "dewp": 26.06, "humid": 59.37, "wind_dir": 270.0,
        "wind_speed": 10.35702, "precip": 0.0, "pressure": 1012.0, "visib": 10.0, "plane_age": 9.0, "seats": 55.0,
    }  # fmt: skip


def test_types_are_those_of_the_signature(tmp_path: Path) -> None:
    """A long is whole and never missing; whatever can be missing is a double."""
    features = build(tmp_path, flights=[flight(flight=1), flight("2013-06-01T13:05", tailnum="NA")]).features
    kinds = {"string": "OUST", "long": "i", "double": "f"}
    for column in FEATURES:
        dtype = features[column.name].dtype
        assert (
            "string" in str(dtype) or str(dtype) == "str"
            if column.type == "string"
            else dtype.kind == kinds[column.type]
        )
    assert not features[[f.name for f in FEATURES if f.type == "long"]].isna().any(axis=None)


@pytest.mark.parametrize(
    ("local", "scheduled_arrival", "expected"),
    [("2013-01-15T13:05", 1605, 180), ("2013-01-15T22:30", 30, 120), ("2013-01-15T13:05", 2400, 655)],
)
def test_scheduled_minutes_go_on_over_midnight(
    tmp_path: Path, local: str, scheduled_arrival: int, expected: int
) -> None:
    """Both ends of the day are the same moment; an arrival after midnight is no negative time."""
    dataset = build(tmp_path, flights=[flight(local, sched_arr_time=scheduled_arrival)])
    assert dataset.features["sched_minutes"].tolist() == [expected]


def test_each_flight_meets_the_weather_of_its_hour_on_both_sides_of_a_change_of_the_clocks(tmp_path: Path) -> None:
    """Spring forward, fall back, and the hour that comes twice: the join is on the moment, not on the clock."""
    local = [
        ("2013-03-09T13:00", 0), ("2013-03-10T01:00", 0), ("2013-03-10T03:00", 0), ("2013-03-10T13:00", 0),
        ("2013-11-02T13:00", 0), ("2013-11-03T01:00", 0), ("2013-11-03T01:00", 1), ("2013-11-03T13:00", 0),
    ]  # fmt: skip
    temperatures = [float(temp) for temp in range(40, 40 + len(local))]
    hours = [weather(hour, fold=fold, temp=t) for (hour, fold), t in zip(local, temperatures, strict=True)]
    # The hours beside them, which a join that is off by one would find.
    beside = [
        weather(f"{day}T{hour}:00", temp=-20)
        for day in ("2013-03-09", "2013-03-10", "2013-11-02", "2013-11-03")
        for hour in ("12", "14")
    ]
    flights = [
        flight(hour.replace(":00", ":30"), fold=fold, flight=number) for number, (hour, fold) in enumerate(local, 1)
    ]
    dataset = build(tmp_path, flights=flights, hours=[*beside, *hours])
    assert dataset.features["temp"].tolist() == temperatures


def test_missing_stays_missing(tmp_path: Path) -> None:
    """No weather, an unknown plane and a gap in the record are NaN, never a made-up value."""
    flights = [
        flight("2013-01-15T12:05"),
        flight("2013-01-15T12:05", origin="JFK"),
        flight(flight=1, tailnum="N999ZZ"),
        flight("2013-06-01T05:00", tailnum="NA"),
    ]
    hours = [weather(pressure="NA"), weather("2013-01-15T12:00")]
    planes = [plane(year="NA")]
    features = build(tmp_path, flights=flights, hours=hours, planes=planes).features
    missing = features.isna()
    assert missing["temp"].tolist() == [False, True, False, True]
    assert missing["pressure"].tolist() == [False, True, True, True]
    assert missing["seats"].tolist() == [False, False, True, True]
    assert missing["plane_age"].tolist() == [True, True, True, True]


def test_a_flights_moment_is_its_scheduled_departure_in_new_york(tmp_path: Path) -> None:
    """Rows are split at New York's midnight, so their moments are told by its clock."""
    moment = build(tmp_path, flights=[flight("2013-08-31T23:30")]).moments.iloc[0]
    assert moment.isoformat() == "2013-08-31T23:30:00-04:00"
