"""Columns become the numbers that the service makes of the same values, and are refused with its words."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.signature import Feature, FeatureType, Signature
from app.wire.decoder import InstancesDecoder
from model.scoring.columns import MAX_LISTED_FAULTS, Fault, Found, MatrixReader, name_columns

NUMBER = Feature("number", FeatureType.NUMBER, required=True)
INTEGER = Feature("integer", FeatureType.INTEGER)
LONG = Feature("long", FeatureType.LONG)
FLAG = Feature("flag", FeatureType.BOOLEAN)
NAME = Feature("name", FeatureType.CATEGORY, categories=("AA", "Zürich", ""))
CODE = Feature("code", FeatureType.CATEGORY, categories=(7, 3))
ALL = Signature((NUMBER, INTEGER, LONG, FLAG, NAME, CODE))

# Rounded once, to float32, it would be 2^60 + 2^37.
TWICE_ROUNDED = 2**60 + 2**36 + 1


def read(signature: Signature, table: pa.Table, *, unknown_is_missing: bool = False) -> tuple[npt.NDArray[Any], Found]:
    """The matrix of a table whose columns are right, and what was found."""
    reader, found = MatrixReader(signature, unknown_is_missing), Found()
    assert reader.check(table.schema) == []
    batches = table.to_batches(max_chunksize=3)
    first_rows = np.cumsum([0, *(batch.num_rows for batch in batches)])
    parts = [reader.read(batch, int(at), found) for batch, at in zip(batches, first_rows, strict=False)]
    return np.concatenate(parts), found


def one(feature: Feature, column: pa.Array, *, unknown_is_missing: bool = False) -> tuple[npt.NDArray[Any], Found]:
    """The same for a single feature."""
    matrix, found = read(Signature((feature,)), pa.table({feature.name: column}), unknown_is_missing=unknown_is_missing)
    return matrix[:, 0], found


def service_reads(signature: Signature, rows: list[dict[str, Any]]) -> npt.NDArray[np.float32]:
    """What the service makes of rows as JSON."""
    decoder = InstancesDecoder(signature)
    body = json.dumps({"instances": rows}).encode()
    return decoder.decode(body, max_instances=len(rows), unknown_is_missing=False).matrix


ROWS = st.fixed_dictionaries(
    {
        "number": st.none() | st.floats(min_value=-3e38, max_value=3e38),
        "integer": st.none() | st.integers(-(2**31), 2**31 - 1),
        "long": st.none() | st.integers(-(2**63), 2**63 - 1),
        "flag": st.none() | st.booleans(),
        "name": st.none() | st.sampled_from(NAME.categories or ()),
        "code": st.none() | st.sampled_from(CODE.categories or ()),
    }
)


@given(st.lists(ROWS, min_size=1, max_size=20))
@example([dict.fromkeys(feature.name for feature in ALL.features) | {"long": TWICE_ROUNDED}])
def test_columns_give_the_bits_that_the_service_makes_of_json(rows: list[dict[str, Any]]) -> None:
    """Nulls, whole numbers beyond 2^53, negative zero, names that are not ASCII, and the empty name included."""
    types = {"number": pa.float64(), "integer": pa.int32(), "long": pa.int64(), "flag": pa.bool_(), "code": pa.int16()}
    table = pa.table({name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in rows[0]})
    matrix, found = read(ALL, table)
    assert found.n_faults == 0
    expected = service_reads(ALL, rows)
    assert matrix.dtype == np.float32
    assert np.array_equal(matrix.view(np.uint32)[~np.isnan(matrix)], expected.view(np.uint32)[~np.isnan(expected)])
    assert np.array_equal(np.isnan(matrix), np.isnan(expected))


@pytest.mark.parametrize(
    ("feature", "column", "expected"),
    [
        (NUMBER, pa.array([1, None], pa.uint8()), [1, math.nan]),
        (NUMBER, pa.array([0.1, math.nan], pa.float32()), [np.float32(0.1), math.nan]),
        (NUMBER, pa.array(np.array([0.5], np.float16)), [0.5]),
        (NUMBER, pa.array([2**64 - 1], pa.uint64()), [2.0**64]),
        (NUMBER, pa.nulls(2), [math.nan, math.nan]),
        (LONG, pa.array([3.0, math.nan, None], pa.float64()), [3, math.nan, math.nan]),  # pandas, with missing values
        (LONG, pa.array([TWICE_ROUNDED], pa.int64()), [2.0**60]),
        (INTEGER, pa.array([-(2**31)], pa.int64()), [-(2.0**31)]),
        (LONG, pa.array([-(2**63)], pa.int64()), [-(2.0**63)]),
        (FLAG, pa.array([True, None, False]), [1, math.nan, 0]),
        (NAME, pa.array(["Zürich", None, "AA"], pa.large_string()), [1, math.nan, 0]),
        (NAME, pa.array(["", "AA"], pa.string_view()), [2, 0]),
        (NAME, pa.array(pd.Categorical(["AA", None], ["of nobody", "AA"])), [0, math.nan]),
        (NAME, pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array([None, "AA"])),
         [math.nan, 0, math.nan]),
        (NAME, pa.nulls(1), [math.nan]),
        (CODE, pa.array([3.0, math.nan, 7.0]), [1, math.nan, 0]),
    ],
)  # fmt: skip
def test_every_way_of_keeping_a_value_is_read(feature: Feature, column: pa.Array, expected: list[float]) -> None:
    """By pandas, by Spark, by others."""
    values, found = one(feature, column)
    assert found.n_faults == 0
    assert np.array_equal(values, np.array(expected, np.float32), equal_nan=True)


@pytest.mark.parametrize(
    ("feature", "column", "detail"),
    [
        (NUMBER, pa.array([0.0, math.inf]), "'number' must be a number within ±3.4028235e+38"),
        (NUMBER, pa.array([0.0, 1e39]), "'number' must be a number within ±3.4028235e+38"),
        (INTEGER, pa.array([0.0, 2.5]), "'integer' must be an integer, not 2.5"),
        (INTEGER, pa.array([0, 2**31]), "'integer' must be an integer of 32 bits"),
        (LONG, pa.array([0.0, 1e19]), "'long' must be an integer of 64 bits"),
        (LONG, pa.array([0, 2**63], pa.uint64()), "'long' must be an integer of 64 bits"),
        (NAME, pa.array(["AA", "BB"]), "'name' must be one of 'AA', 'Zürich', '', not 'BB'"),
        (CODE, pa.array([7, 4]), "'code' must be one of 7, 3, not 4"),
        (CODE, pa.array([7.0, 3.5]), "'code' must be one of the numbers 7, 3, not 3.5"),
    ],
)
def test_a_wrong_value_is_told_with_its_row_in_the_services_words(
    feature: Feature, column: pa.Array, detail: str
) -> None:
    """Where unknown categories are refused."""
    _, found = one(feature, column)
    assert [(fault.column, fault.row) for fault in found.faults] == [(feature.name, 1)]
    assert found.faults[0].detail.startswith(detail)


def test_rows_are_counted_over_all_batches_and_faults_beyond_the_listed_ones() -> None:
    """Read three rows at a time."""
    _, found = one(INTEGER, pa.array([0.0] * 7 + [0.5] * 50))
    assert (found.n_faults, len(found.faults)) == (50, MAX_LISTED_FAULTS)
    assert [fault.row for fault in found.faults] == list(range(7, 7 + MAX_LISTED_FAULTS))


def test_an_unknown_category_is_missing_where_the_model_says_so_and_is_counted() -> None:
    """Of names and of numbers; what is no category at all is still wrong."""
    names, found = one(NAME, pa.array(["BB", "AA", "CC", None]), unknown_is_missing=True)
    assert np.array_equal(names, np.array([math.nan, 0, math.nan, math.nan], np.float32), equal_nan=True)
    assert (found.n_faults, found.n_unknown) == (0, {"name": 2})
    codes, found = one(CODE, pa.array([4.0, 3.0, 3.5]), unknown_is_missing=True)
    assert np.array_equal(codes[:2], np.array([math.nan, 1], np.float32), equal_nan=True)
    assert (found.n_faults, found.n_unknown) == (1, {"code": 1})


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"integer": pa.array([1])}, Fault("number", None, "the required feature is missing; add the column")),
        ({"number": pa.array(["1"])}, Fault("number", None, "it must be a column of numbers, not string")),
        ({"number": pa.array([True])}, Fault("number", None, "it must be a column of numbers, not bool")),
        (
            {"number": pa.array([1]), "name": pa.array([b"AA"])},
            Fault("name", None, "it must be a column of text, not binary"),
        ),
        (
            {"number": pa.array([1]), "flag": pa.array([1])},
            Fault("flag", None, "it must be a column of booleans, not int64"),
        ),
        (
            {"number": pa.array([1]), "code": pa.array(["7"])},
            Fault("code", None, "it must be a column of numbers, not string"),
        ),
    ],
)
def test_a_wrong_column_is_told_before_a_value_is_read(columns: dict[str, pa.Array], fault: Fault) -> None:
    """By its name, with what would be right."""
    assert MatrixReader(ALL, unknown_is_missing=False).check(pa.table(columns).schema) == [fault]


def test_two_columns_of_one_name_are_refused() -> None:
    """Nobody knows which is meant."""
    schema = pa.schema([("number", pa.float64()), ("id", pa.int64()), ("number", pa.float64())])
    assert MatrixReader(ALL, unknown_is_missing=False).check(schema) == [
        Fault("number", None, "there are two columns of this name")
    ]


def test_an_optional_column_that_is_not_there_is_missing_in_every_row() -> None:
    """And columns that are no features are nobody's business, whatever they hold."""
    table = pa.table({"id": pa.array([{"a": 1}]), "number": pa.array([2.0])})
    matrix, found = read(ALL, table)
    assert np.array_equal(matrix, np.array([[2, *[math.nan] * 5]], np.float32), equal_nan=True)
    assert found.n_faults == 0
    assert name_columns(ALL.features, table.schema) == ["id"]
