"""One JSON value becomes one number, or the caller is told what would be right."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from app.errors import FaultCode
from app.signature import Category, Feature, FeatureType, Signature
from app.wire.features import FLOAT32_MAX, UnknownCategory, WrongValue, build_readers, nearest_name, shorten
from app.wire.json_text import NotFinite

NUMBER, INTEGER, LONG = FeatureType.NUMBER, FeatureType.INTEGER, FeatureType.LONG
BOOLEAN, CATEGORY = FeatureType.BOOLEAN, FeatureType.CATEGORY
NAMES: tuple[Category, ...] = ("AA", "Zürich", "")
NUMBERS: tuple[Category, ...] = (10, -3)
JUST_TOO_LARGE = math.nextafter(FLOAT32_MAX, math.inf)


def read(type_: FeatureType, value: Any, categories: tuple[Category, ...] | None = None) -> float:
    """Read one value of a feature `x`."""
    readers = build_readers(Signature((Feature("x", type_, categories=categories),)))
    return readers["x"].read(value)


def fault(type_: FeatureType, value: Any, categories: tuple[Category, ...] | None = None) -> tuple[FaultCode, str]:
    """The code and the text of a refused value."""
    with pytest.raises(WrongValue) as caught:
        read(type_, value, categories)
    return caught.value.code, caught.value.describe("x")


@pytest.mark.parametrize(
    ("type_", "value", "number"),
    [
        (NUMBER, 1.5, 1.5),
        (NUMBER, 3, 3.0),
        (NUMBER, -0.0, 0.0),
        (NUMBER, FLOAT32_MAX, FLOAT32_MAX),
        (NUMBER, -FLOAT32_MAX, -FLOAT32_MAX),
        (NUMBER, int(FLOAT32_MAX), FLOAT32_MAX),
        (NUMBER, 5e-324, 5e-324),
        (INTEGER, 3, 3.0),
        (INTEGER, 3.0, 3.0),
        (INTEGER, 2**31 - 1, 2.0**31 - 1),
        (INTEGER, -(2**31), -(2.0**31)),
        (LONG, 2**63 - 1, 2.0**63),
        (LONG, -(2**63), -(2.0**63)),
        (LONG, -(2.0**63), -(2.0**63)),
        (LONG, 1e15, 1e15),
        (BOOLEAN, True, 1.0),
        (BOOLEAN, False, 0.0),
    ],
)
def test_a_value_becomes_the_number_that_xgboost_expects(type_: FeatureType, value: Any, number: float) -> None:
    """Up to the limits of the type; 3 and 3.0 are the same number in JSON."""
    assert read(type_, value) == number


@pytest.mark.parametrize(
    ("type_", "value", "code"),
    [
        (NUMBER, True, FaultCode.NOT_A_NUMBER),
        (NUMBER, "1", FaultCode.NOT_A_NUMBER),
        (NUMBER, [1], FaultCode.NOT_A_NUMBER),
        (NUMBER, {}, FaultCode.NOT_A_NUMBER),
        (NUMBER, JUST_TOO_LARGE, FaultCode.OUT_OF_RANGE),
        (NUMBER, -JUST_TOO_LARGE, FaultCode.OUT_OF_RANGE),
        (NUMBER, int(FLOAT32_MAX) + 1, FaultCode.OUT_OF_RANGE),
        (NUMBER, 10**400, FaultCode.OUT_OF_RANGE),
        (NUMBER, math.inf, FaultCode.OUT_OF_RANGE),
        (NUMBER, -math.inf, FaultCode.OUT_OF_RANGE),
        (NUMBER, NotFinite("NaN"), FaultCode.NOT_FINITE),
        (INTEGER, False, FaultCode.NOT_AN_INTEGER),
        (INTEGER, "3", FaultCode.NOT_AN_INTEGER),
        (INTEGER, 3.5, FaultCode.NOT_AN_INTEGER),
        (INTEGER, 2**31, FaultCode.OUT_OF_RANGE),
        (INTEGER, -(2**31) - 1, FaultCode.OUT_OF_RANGE),
        (INTEGER, 2.0**31, FaultCode.OUT_OF_RANGE),
        (INTEGER, math.inf, FaultCode.OUT_OF_RANGE),
        (INTEGER, NotFinite("Infinity"), FaultCode.NOT_FINITE),
        (LONG, 2**63, FaultCode.OUT_OF_RANGE),
        (LONG, -(2**63) - 1, FaultCode.OUT_OF_RANGE),
        (LONG, 2.0**63, FaultCode.OUT_OF_RANGE),
        (LONG, 10**400, FaultCode.OUT_OF_RANGE),
        (LONG, 0.1, FaultCode.NOT_AN_INTEGER),
        (BOOLEAN, 1, FaultCode.NOT_A_BOOLEAN),
        (BOOLEAN, 0.0, FaultCode.NOT_A_BOOLEAN),
        (BOOLEAN, "true", FaultCode.NOT_A_BOOLEAN),
        (BOOLEAN, NotFinite("-Infinity"), FaultCode.NOT_FINITE),
    ],
)
def test_a_value_that_the_type_does_not_have_is_a_fault(type_: FeatureType, value: Any, code: FaultCode) -> None:
    """A boolean is no number, a text is no number, and what float32 cannot hold is never cut."""
    assert fault(type_, value)[0] == code


def test_every_number_that_is_accepted_is_finite_in_float32() -> None:
    """The limit is float32's own: one step beyond it would be infinite in the matrix."""
    assert np.isfinite(np.float32(FLOAT32_MAX))
    assert math.nextafter(FLOAT32_MAX, 0.0) < FLOAT32_MAX < JUST_TOO_LARGE


@pytest.mark.parametrize(
    ("categories", "value", "code"),
    [(NAMES, "AA", 0), (NAMES, "Zürich", 1), (NAMES, "", 2), (NUMBERS, -3, 1), (NUMBERS, 10.0, 0)],
)
def test_a_category_becomes_its_code(categories: tuple[Category, ...], value: Any, code: int) -> None:
    """Its position in training, whatever script or sign it has; 10 and 10.0 are the same in JSON."""
    assert read(CATEGORY, value, categories) == code


@pytest.mark.parametrize("value", ["aa", "AA ", "Zurich", "Zu\u0308rich", "\ud800", "A" * 1000])
def test_an_unknown_name_is_told_apart_from_a_wrong_type(value: str) -> None:
    """Only an unknown category may become a missing value; nothing is folded or trimmed."""
    with pytest.raises(UnknownCategory) as caught:
        read(CATEGORY, value, NAMES)
    assert caught.value.code == FaultCode.UNKNOWN_CATEGORY
    text = caught.value.describe("x")
    assert "must be one of 'AA', 'Zürich', ''" in text
    json.dumps(text).encode("ascii")


@pytest.mark.parametrize(
    ("categories", "value"),
    [(NAMES, 1), (NAMES, True), (NAMES, ["AA"]), (NAMES, {"AA": 1}), (NUMBERS, "10"), (NUMBERS, True), (NUMBERS, 10.5)],
)
def test_a_value_of_another_type_is_no_category_at_all(categories: tuple[Category, ...], value: Any) -> None:
    """The policy for unknown categories is no way around the types."""
    with pytest.raises(WrongValue) as caught:
        read(CATEGORY, value, categories)
    assert not isinstance(caught.value, UnknownCategory)
    assert caught.value.code == FaultCode.NOT_A_CATEGORY


def test_true_is_not_the_category_one() -> None:
    """Python thinks that they are equal."""
    with pytest.raises(WrongValue):
        read(CATEGORY, True, (0, 1))


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        (NUMBER, "39", "'x' must be a number, not '39'"),
        (NUMBER, NotFinite("NaN"), "'x' must be a number, or null for a missing value, not NaN"),
        (NUMBER, 1e39, "'x' must be a number within ±3.4028235e+38 (float32), not 1e+39"),
        (INTEGER, 3.5, "'x' must be an integer, not 3.5"),
        (INTEGER, 2**31, "'x' must be an integer of 32 bits, not 2147483648"),
        (LONG, 2**63, "'x' must be an integer of 64 bits, not 9223372036854775808"),
        (BOOLEAN, 1, "'x' must be true or false, not 1"),
        (BOOLEAN, {"a": 1}, "'x' must be true or false, not an object"),
    ],
)
def test_the_text_says_what_would_be_right(type_: FeatureType, value: Any, text: str) -> None:
    """A person can mend the request without the documentation."""
    assert fault(type_, value)[1] == text


def test_a_long_list_of_categories_is_cut_and_its_whole_is_named() -> None:
    """A thousand airports do not fit in an error."""
    text = fault(CATEGORY, "XXX", tuple(f"A{i}" for i in range(1000)))[1]
    assert "'A9', … (1000 in all, see GET /model)" in text
    assert "'A10'" not in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ([1, 2], "an array"),
        ({"a": 1}, "an object"),
        ("a'b", '"a\'b"'),
        ("x" * 100, "'" + "x" * 64 + "…'"),
        (10**100, "1" + "0" * 63 + "…"),
        (float("-inf"), "a number beyond float64"),
        ("\ud800\n", "'\\ud800\\n'"),
        (NotFinite("-Infinity"), "-Infinity"),
    ],
)
def test_a_callers_value_is_shown_short_and_harmless(value: Any, shown: str) -> None:
    """A megabyte sent is not a megabyte sent back, and a line break is no line break in a log."""
    assert shorten(value) == shown


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("temperature", None),
        ("tmep", "temp"),
        ("TEMP", "temp"),
        ("Größe", "größe"),
        ("wind_speed", "WIND_SPEED"),
        ("x" * 64, "x" * 65),
        ("x" * 65, None),
        ("", None),
    ],
)
def test_the_nearest_name_is_found_without_regard_to_case(name: str, meant: str | None) -> None:
    """A misspelt feature gets the hint that most people need; one of absurd length is not compared."""
    assert nearest_name(name, ["temp", "wind", "größe", "WIND_SPEED", "x" * 65]) == meant


def test_each_feature_is_read_into_its_own_column() -> None:
    """By name, in the signature's order."""
    signature = Signature((Feature("b", NUMBER), Feature("a", NUMBER), Feature("", NUMBER)))
    assert {name: reader.column for name, reader in build_readers(signature).items()} == {"b": 0, "a": 1, "": 2}
