"""
What a model is trained on: instances with known outcomes, and what their features mean.

Nothing here knows of flights, nor of what kind an outcome is; any data set that takes this shape
can be trained, evaluated, packed and registered by the same code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.errors import DataInvalid

_INSTANCES = "the project's instances"

Categories = dict[str, list[str]]


@dataclass(frozen=True)
class FeatureColumn:
    """
    One feature, as MLflow's signature declares it.

    Attributes
    ----------
    name : str
    type : {"string", "long", "double"}
        A string is a category; a long is never missing.
    required : bool
        Whether a caller always knows it.
    meaning : str
        For a person, with the unit.
    """

    name: str
    type: Literal["string", "long", "double"]
    required: bool
    meaning: str


@dataclass(frozen=True)
class Dataset:
    """
    Instances, each with its outcome and its moment.

    Attributes
    ----------
    features : pandas.DataFrame, shape (n_rows, n_features)
        Categories as plain strings, missing values as NaN.
    outcomes : numpy.ndarray of integers or float64, shape (n_rows,)
        As the task has them: int8 of 0 and 1, codes of classes, or numbers.
    moments : pandas.Series of datetime with a time zone, shape (n_rows,)
        What rows are split by.
    """

    features: pd.DataFrame
    outcomes: npt.NDArray[Any]
    moments: pd.Series

    @property
    def n_rows(self) -> int:
        """How many instances there are."""
        return len(self.features)

    def select(self, is_chosen: npt.NDArray[np.bool_]) -> Dataset:
        """Take the rows of a mask, in their order."""
        return Dataset(
            self.features.loc[is_chosen].reset_index(drop=True),
            self.outcomes[is_chosen],
            self.moments.loc[is_chosen].reset_index(drop=True),
        )

    def digest(self) -> str:
        """SHA-256 over every name, value, outcome and moment: the same on every machine for the same rows."""
        digest = hashlib.sha256()
        for name in self.features.columns:
            digest.update(name.encode() + b"\x00")
            column = self.features[name]
            if is_text(column):
                # A missing value must not read like the empty string.
                digest.update(b"".join(b"\x01" if pd.isna(v) else v.encode() + b"\x00" for v in column))
            else:
                digest.update(np.ascontiguousarray(column, dtype="<f8").tobytes())
        little_endian = self.outcomes.dtype.newbyteorder("<")
        digest.update(np.ascontiguousarray(self.outcomes, dtype=little_endian).tobytes())
        seconds = (self.moments - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
        digest.update(np.ascontiguousarray(seconds, dtype="<i8").tobytes())
        return digest.hexdigest()


def check_dataset(dataset: Dataset, columns: Sequence[FeatureColumn]) -> None:
    """
    Make sure that instances have the features that are declared, each with an outcome and a moment.

    Raises
    ------
    DataInvalid
        If they have not: the project that made them is to be changed.
    """
    declared, made = [column.name for column in columns], [str(name) for name in dataset.features.columns]
    if made != declared:
        raise DataInvalid(f"they have the features {', '.join(made)}; declared are {', '.join(declared)}", _INSTANCES)
    for column in columns:
        values = dataset.features[column.name]
        kind = "string" if is_text(values) else "long" if pd.api.types.is_integer_dtype(values.dtype) else "double"
        if kind != column.type and (kind, column.type) != ("long", "double"):
            raise DataInvalid(f"it is declared as a {column.type} and made as a {kind}", _INSTANCES, column.name)
    n_rows = {len(dataset.features), len(dataset.outcomes), len(dataset.moments)}
    if len(n_rows) > 1 or n_rows == {0}:
        raise DataInvalid("there must be as many outcomes and moments as instances, and some", _INSTANCES)
    if dataset.moments.dt.tz is None or not dataset.moments.is_monotonic_increasing:
        raise DataInvalid("they must be in the order of their moments, which must have a time zone", _INSTANCES)


def is_text(column: pd.Series) -> bool:
    """Whether a column holds categories, not numbers."""
    return not pd.api.types.is_numeric_dtype(column.dtype)


def collect_categories(features: pd.DataFrame) -> Categories:
    """
    List the categories of each text column, sorted: a category's position is its code.

    Only rows that the booster is fitted on may be given, for it knows no others.
    """
    return {
        str(name): sorted(features[name].dropna().unique().tolist()) for name in features if is_text(features[name])
    }


def encode_categories(features: pd.DataFrame, categories: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Turn text columns into pandas' categoricals with the given codes; an unknown category becomes missing."""
    encoded = {
        name: pd.Categorical(features[name].where(features[name].isin(known)), categories=list(known))
        for name, known in categories.items()
    }
    return features.assign(**encoded)
