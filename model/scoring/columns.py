"""
Columns of a Parquet file to the matrix that a forest reads: the numbers that the service makes of the same values.

Whole columns are read at once. A value that is not plainly right is given to the service's own reader, which has the
last word on whether it is wrong, and the words for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.signature import Feature, FeatureType, Signature
from app.wire.features import FLOAT32_MAX, INTEGER_BITS, FeatureReader, UnknownCategory, WrongValue, build_readers

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
_NONE: Rows = np.empty(0, dtype=np.intp)
MAX_LISTED_FAULTS = 20  # of one file; the rest are counted


@dataclass(frozen=True)
class Fault:
    """
    One thing that is wrong with a file.

    Attributes
    ----------
    column : str or None
    row : int or None
        The first is 0; None if it is the whole column.
    detail : str
    """

    column: str | None
    row: int | None
    detail: str


@dataclass
class Found:
    """
    What was found in a file so far.

    Attributes
    ----------
    faults : list of Fault
        The first of them.
    n_faults : int
        All of them.
    n_unknown : dict of str to int
        Unknown categories that are predicted as missing, by feature.
    """

    faults: list[Fault] = field(default_factory=list)
    n_faults: int = 0
    n_unknown: dict[str, int] = field(default_factory=dict)

    def add(self, fault: Fault) -> None:
        """Count a fault, and list it if there is room."""
        self.n_faults += 1
        if len(self.faults) < MAX_LISTED_FAULTS:
            self.faults.append(fault)

    def add_unknown(self, name: str, n: int) -> None:
        """Count unknown categories of a feature that are predicted as missing."""
        if n:
            self.n_unknown[name] = self.n_unknown.get(name, 0) + n


class MatrixReader:
    """Makes matrices for one model version; safe to share."""

    def __init__(self, signature: Signature, unknown_is_missing: bool) -> None:
        self._features = signature.features
        self._readers: dict[str, FeatureReader] = build_readers(signature)
        self._unknown_is_missing = unknown_is_missing

    def check(self, schema: pa.Schema) -> list[Fault]:
        """
        What is wrong with the columns of a file, before a value is read.

        A required feature has to be there, as in a request; one that is not required and not there is missing in every
        row. Columns that are no features are none of the model's business.
        """
        faults = [
            Fault(name, None, "there are two columns of this name")
            for name in sorted({name for name in schema.names if schema.names.count(name) > 1})
        ]
        for feature in self._features:
            if feature.name not in schema.names:
                if feature.required:
                    faults.append(Fault(feature.name, None, "the required feature is missing; add the column"))
            elif schema.names.count(feature.name) == 1:
                type_ = schema.field(feature.name).type
                if not _fits(feature, type_):
                    faults.append(Fault(feature.name, None, f"it must be {_wanted(feature)}, not {type_}"))
        return faults

    def read(self, batch: pa.RecordBatch, first_row: int, found: Found) -> npt.NDArray[np.float32]:
        """
        Make the matrix of some rows.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            Of a file whose columns `check` has found right.
        first_row : int
            Which row of the file the batch begins with.
        found : Found
            What is wrong with values is added to it.

        Returns
        -------
        numpy.ndarray of float32, shape (n_rows, n_features)
            As the service makes it of the same values; of no use for a row with a fault.
        """
        matrix = np.full((batch.num_rows, len(self._features)), math.nan, dtype=np.float32)
        for position, feature in enumerate(self._features):
            if feature.name in batch.schema.names:
                column = batch.column(feature.name)
                is_category = feature.type is FeatureType.CATEGORY
                values, doubtful = _read_category(feature, column) if is_category else _read_number(feature, column)
                if feature.has_names and self._unknown_is_missing:  # text that is no category's name is nothing else
                    found.add_unknown(feature.name, len(doubtful))
                    values[doubtful] = math.nan
                else:
                    for row in map(int, doubtful):
                        values[row] = self._judge(feature.name, column[row].as_py(), first_row + row, found)
                matrix[:, position] = values
        return matrix

    def _judge(self, name: str, value: object, row: int, found: Found) -> float:
        """Let the service's reader say what a value is."""
        try:
            return self._readers[name].read(value)
        except UnknownCategory as unknown:
            if self._unknown_is_missing:
                found.add_unknown(name, 1)
            else:
                found.add(Fault(name, row, unknown.describe(name)))
        except WrongValue as wrong:
            found.add(Fault(name, row, wrong.describe(name)))
        return math.nan


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _fits(feature: Feature, type_: pa.DataType) -> bool:
    if pa.types.is_null(type_):  # missing in every row
        return True
    if feature.type is FeatureType.BOOLEAN:
        return bool(pa.types.is_boolean(type_))
    if feature.type is FeatureType.CATEGORY:
        held = type_.value_type if pa.types.is_dictionary(type_) else type_
        return _is_text(held) if feature.has_names else _is_number(held)
    return _is_number(type_)


def _wanted(feature: Feature) -> str:
    if feature.type is FeatureType.BOOLEAN:
        return "a column of booleans"
    return "a column of text" if feature.has_names else "a column of numbers"


def _read_number(feature: Feature, column: pa.Array) -> tuple[Floats, Rows]:
    """
    Numbers, with NaN for what is missing, and the rows that the service's reader has to judge.

    By way of float64, as JSON's numbers go: a whole number beyond 2^53 is rounded twice there, and so it is here.
    """
    if pa.types.is_null(column.type):
        return np.full(len(column), math.nan), _NONE
    values = np.array(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    if feature.type is FeatureType.BOOLEAN:
        return values, _NONE
    with np.errstate(invalid="ignore"):
        if (bits := INTEGER_BITS.get(feature.type)) is None:
            doubtful = np.abs(values) > FLOAT32_MAX
        else:
            doubtful = (np.abs(values) >= 2.0**bits) | (values != np.trunc(values))
    doubtful &= ~np.isnan(values)
    return values, np.flatnonzero(doubtful)


def _read_category(feature: Feature, column: pa.Array) -> tuple[Floats, Rows]:
    """Codes, with NaN for what is missing, and the rows whose value is none of the categories."""
    if pa.types.is_null(column.type):
        return np.full(len(column), math.nan), _NONE
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    known = encoded.dictionary.to_pylist()
    codes = np.array([_code(feature, value) for value in [*known, None]], dtype=np.float64)
    # What is missing points behind the last value, which is None.
    at = pc.fill_null(pc.cast(encoded.indices, pa.int64()), len(known)).to_numpy(zero_copy_only=False)
    values = codes[at]
    return values, np.flatnonzero(np.isneginf(values))


def _code(feature: Feature, value: object) -> float:
    """The number of a category; minus infinity for what is none of them."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    return feature.codes.get(value, -math.inf)  # type: ignore[call-overload, no-any-return]


def name_columns(features: Sequence[Feature], schema: pa.Schema) -> list[str]:
    """The columns of a file that are no features, in its order: what is told beside a prediction."""
    names = {feature.name for feature in features}
    return [name for name in schema.names if name not in names]
