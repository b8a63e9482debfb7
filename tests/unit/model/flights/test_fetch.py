"""Months arrive one after the other, and what they have is what was published."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from model.errors import DataInvalid
from model.flights.features import build_dataset
from model.flights.fetch import fetch
from model.flights.tables import find_data, read_tables
from tests.unit.model.flights.small_tables import FLIGHT_COLUMNS, flight, to_csv, weather, write_data

FLIGHTS = [flight("2013-02-01T05:00"), flight(), flight("2013-01-31T23:30", tailnum="NA"), flight("2013-03-01T00:00")]
HOURS = [weather("2013-01-15T13:00"), weather("2013-02-01T05:00", temp="NA"), weather("2013-03-01T00:00")]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Three months, not in their order."""
    return write_data(tmp_path / "published", flights=FLIGHTS, hours=HOURS)


def test_all_months_are_the_whole(published: Path, tmp_path: Path) -> None:
    """The same data set, bit by bit."""
    assert fetch(find_data(published), tmp_path / "raw", "2013-03") == ["2013-01", "2013-02", "2013-03"]
    whole, arrived = (build_dataset(read_tables(find_data(folder)))[0] for folder in (published, tmp_path / "raw"))
    assert arrived.n_rows == 4
    assert arrived.digest() == whole.digest()


def test_nothing_is_there_before_it_has_arrived(published: Path, tmp_path: Path) -> None:
    """And nothing that had been there before stays."""
    fetch(find_data(published), tmp_path / "raw", "2013-03")
    assert fetch(find_data(published), tmp_path / "raw", "2013-02") == ["2013-01", "2013-02"]
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == [
        "flights-2013-01.csv", "flights-2013-02.csv", "planes.csv", "weather-2013-01.csv", "weather-2013-02.csv",
    ]  # fmt: skip


def test_values_stay_as_they_were_published(published: Path, tmp_path: Path) -> None:
    """Also those of columns that nobody reads, and those that are missing."""
    fetch(find_data(published), tmp_path / "raw", "2013-03")
    with zipfile.ZipFile(published / "flights.csv.zip") as archive:
        assert archive.read("flights.csv").decode() == to_csv(FLIGHTS, FLIGHT_COLUMNS)
    assert (tmp_path / "raw" / "flights-2013-01.csv").read_text() == to_csv(FLIGHTS[1:3], FLIGHT_COLUMNS)


def test_a_month_that_has_not_been_published_is_told(published: Path, tmp_path: Path) -> None:
    """With the last one that has."""
    with pytest.raises(DataInvalid, match="no rows of 2013-04; it ends with 2013-03") as told:
        fetch(find_data(published), tmp_path / "raw", "2013-04")
    assert "flights.csv.zip" in str(told.value)


def test_a_row_in_another_months_file_is_told(published: Path, tmp_path: Path) -> None:
    """By file and row."""
    fetch(find_data(published), tmp_path / "raw", "2013-03")
    (tmp_path / "raw" / "flights-2013-02.csv").write_text(
        to_csv([flight("2013-02-01T05:00"), flight()], FLIGHT_COLUMNS)
    )
    with pytest.raises(DataInvalid, match="the row is of 2013-01") as told:
        read_tables(find_data(tmp_path / "raw"))
    assert "flights-2013-02.csv" in str(told.value)
    assert "row 3" in str(told.value)
