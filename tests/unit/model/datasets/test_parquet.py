"""A data set and its file are the same, and the same data set is always the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.datasets.dataset import Dataset
from model.datasets.parquet import dvc_digest, read_dataset, to_parquet
from model.errors import DataInvalid
from model.flights.features import build_dataset
from model.flights.tables import find_data, read_tables
from tests.unit.model.flights.small_tables import flight, write_data


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """Types, missing values and time zone included."""
    flights = [flight(tailnum="NA"), flight(flight=2, arr_delay=50), flight("2013-07-01T23:30")]
    dataset, _ = build_dataset(read_tables(find_data(write_data(tmp_path, flights=flights))))
    content = to_parquet(dataset)
    (tmp_path / "prepared.parquet").write_bytes(content)
    read = read_dataset(tmp_path / "prepared.parquet")
    assert read.digest() == dataset.digest()
    assert read.features.dtypes.equals(dataset.features.dtypes)
    assert read.moments.dtype == dataset.moments.dtype
    assert to_parquet(read) == content
    assert read.features["plane_age"].isna().sum() == 1


def test_another_value_is_another_file(tmp_path: Path) -> None:
    """And has another digest."""
    contents = [
        to_parquet(build_dataset(read_tables(find_data(write_data(tmp_path / str(delay), flights=[given]))))[0])
        for delay in (5, 50)
        for given in [flight(arr_delay=delay)]
    ]
    assert dvc_digest(contents[0]) != dvc_digest(contents[1])


@pytest.mark.parametrize("outcomes", [np.array([0.25, -3.5]), np.array([200, 3], dtype=np.int16)])
def test_outcomes_keep_their_type(tmp_path: Path, outcomes: np.ndarray) -> None:
    """Numbers, and codes of more classes than a byte can count."""
    moments = pd.Series(pd.date_range("2013-01-01", periods=2, tz="UTC"))
    dataset = Dataset(pd.DataFrame({"temp": [1.0, 2.0]}), outcomes, moments)
    (tmp_path / "prepared.parquet").write_bytes(to_parquet(dataset))
    read = read_dataset(tmp_path / "prepared.parquet")
    assert read.outcomes.dtype == outcomes.dtype
    assert read.outcomes.tolist() == outcomes.tolist()
    assert read.digest() == dataset.digest()


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and nothing more"])
def test_what_is_no_such_file_is_told(tmp_path: Path, content: bytes | None) -> None:
    """By its name."""
    if content is not None:
        (tmp_path / "prepared.parquet").write_bytes(content)
    with pytest.raises(DataInvalid, match="cannot be read") as told:
        read_dataset(tmp_path / "prepared.parquet")
    assert "prepared.parquet" in str(told.value)
