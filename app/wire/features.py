"""One JSON value to one number of the matrix, for each type of feature."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.errors import FaultCode
from app.signature import Feature, FeatureType, Signature
from app.wire.json_text import NotFinite

FLOAT32_MAX = float(np.finfo(np.float32).max)
INTEGER_BITS = {FeatureType.INTEGER: 31, FeatureType.LONG: 63}
_SHOWN_CATEGORIES = 10
_SHOWN_CHARACTERS = 64


class WrongValue(Exception):
    """A value that the feature cannot have."""

    def __init__(self, code: FaultCode, expected: str, value: Any) -> None:
        super().__init__()
        self.code = code
        self._expected = expected
        self._value = value

    def describe(self, name: str) -> str:
        """What is wrong, for the caller, made only when it is shown."""
        return f"{name!r} must be {self._expected}, not {shorten(self._value)}"


class UnknownCategory(WrongValue):
    """A name that the model was not trained with."""


@dataclass(frozen=True, slots=True)
class FeatureReader:
    """
    Reads the values of one feature.

    Attributes
    ----------
    column : int
        Its place in the matrix.
    read : callable
        A value that is not null to the number that XGBoost expects; raises `WrongValue`.
    """

    column: int
    read: Callable[[Any], float]


def build_readers(signature: Signature) -> dict[str, FeatureReader]:
    """One reader a feature, by the feature's name."""
    return {
        feature.name: FeatureReader(column, _build_reader(feature)) for column, feature in enumerate(signature.features)
    }


def _build_reader(feature: Feature) -> Callable[[Any], float]:
    if feature.type is FeatureType.CATEGORY:
        return _category_reader(feature)
    if feature.type is FeatureType.BOOLEAN:
        return _read_boolean
    if feature.type is FeatureType.NUMBER:
        return _read_number
    return _integer_reader(INTEGER_BITS[feature.type])


def _read_number(value: Any) -> float:
    # A boolean is an int to Python, so types are compared and not asked with isinstance.
    if type(value) is not float and type(value) is not int:
        raise _not_a(FaultCode.NOT_A_NUMBER, "a number", value)
    if not -FLOAT32_MAX <= value <= FLOAT32_MAX:
        raise WrongValue(FaultCode.OUT_OF_RANGE, f"a number within ±{FLOAT32_MAX:.8g} (float32)", value)
    return float(value)


def _integer_reader(bits: int) -> Callable[[Any], float]:
    low, high = -(1 << bits), (1 << bits) - 1

    def read_integer(value: Any) -> float:
        if type(value) is not int and not (type(value) is float and (value.is_integer() or abs(value) > high)):
            raise _not_a(FaultCode.NOT_AN_INTEGER, "an integer", value)
        if not low <= value <= high:
            raise WrongValue(FaultCode.OUT_OF_RANGE, f"an integer of {bits + 1} bits", value)
        return float(value)

    return read_integer


def _read_boolean(value: Any) -> float:
    if type(value) is not bool:
        raise _not_a(FaultCode.NOT_A_BOOLEAN, "true or false", value)
    return float(value)


def _category_reader(feature: Feature) -> Callable[[Any], float]:
    codes = feature.codes
    kind = str if feature.has_names else int
    expected = "one of the names" if kind is str else "one of the numbers"
    known = _list_categories(feature)

    def read_category(value: Any) -> float:
        if kind is int and type(value) is float and value.is_integer():  # 3 and 3.0 are the same in JSON
            value = int(value)
        if type(value) is not kind:
            raise _not_a(FaultCode.NOT_A_CATEGORY, f"{expected} {known}", value)
        code = codes.get(value)
        if code is None:
            raise UnknownCategory(FaultCode.UNKNOWN_CATEGORY, f"one of {known}", value)
        return code

    return read_category


def _list_categories(feature: Feature) -> str:
    categories = feature.categories or ()
    shown = ", ".join(shorten(category) for category in categories[:_SHOWN_CATEGORIES])
    return shown if len(categories) <= _SHOWN_CATEGORIES else f"{shown}, … ({len(categories)} in all, see GET /model)"


def _not_a(code: FaultCode, expected: str, value: Any) -> WrongValue:
    if isinstance(value, NotFinite):
        return WrongValue(FaultCode.NOT_FINITE, f"{expected}, or null for a missing value", value)
    return WrongValue(code, expected, value)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was perhaps meant to be; takes microseconds for each known one."""
    if len(name) > _SHOWN_CHARACTERS:
        return None
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def shorten(value: Any) -> str:
    """A caller's value, short enough to be shown back."""
    if isinstance(value, NotFinite):
        return value.text
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and math.isinf(value):
        return "a number beyond float64"  # such as 1e400, which is JSON and which Python reads as infinite
    text = value if isinstance(value, str) else repr(value)
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return repr(cut) if isinstance(value, str) else cut
