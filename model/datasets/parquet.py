"""The data set as a file: the same bytes for the same rows, so that DVC's digest of it names the data."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pandas as pd

from model.datasets.dataset import Dataset
from model.errors import DataInvalid


def to_parquet(dataset: Dataset) -> bytes:
    """
    Write a data set; with the locked versions of pandas and pyarrow, the same bytes everywhere.

    Columns are the features, then ``outcome`` (in its type) and ``moment`` (with its time zone).
    """
    columns = dataset.features.assign(outcome=dataset.outcomes, moment=dataset.moments)
    written = io.BytesIO()
    columns.to_parquet(written, engine="pyarrow", compression="zstd", index=False)
    return written.getvalue()


def read_dataset(path: Path) -> Dataset:
    """
    Read what `to_parquet` wrote.

    Raises
    ------
    DataInvalid
        If it is no such file.
    """
    try:
        columns = pd.read_parquet(path, engine="pyarrow")
        features = columns.drop(columns=["outcome", "moment"])
        return Dataset(features, columns["outcome"].to_numpy(), columns["moment"])
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are ValueErrors
        raise DataInvalid(f"it cannot be read: {error}", str(path)) from None


def dvc_digest(content: bytes) -> str:
    """The digest by which DVC would keep a file of this content: MD5, to tell data apart and not to protect it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
