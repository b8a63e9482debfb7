"""The codec of `/predict`, asked with generated bodies: valid ones, any JSON, any bytes."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, ServingError
from app.wire.answer import describe_fault
from app.wire.features import FLOAT32_MAX
from tests.unit.wire.bodies import CARRIERS, SIGNATURE
from tests.unit.wire.test_instances import decode, instance

# A value as JSON may have it, and the number that it must become.
MISSING = st.just((None, math.nan))
VALUES: dict[str, st.SearchStrategy[tuple[Any, float]]] = {
    "carrier": st.sampled_from([(name, float(code)) for code, name in enumerate(CARRIERS)]) | MISSING,
    "hour": st.integers(-(2**63), 2**63 - 1).map(lambda value: (value, float(value))) | MISSING,
    "class": st.sampled_from([(10, 0.0), (20, 1.0)]) | MISSING,
    "a/b": st.floats(-FLOAT32_MAX, FLOAT32_MAX).map(lambda value: (value, value)) | MISSING,
    "a~b": st.integers(-(2**31), 2**31 - 1).map(lambda value: (value, float(value))) | MISSING,
    "Größe": st.booleans().map(lambda value: (value, float(value))) | MISSING,
    "": st.integers(-(2**70), 2**70).map(lambda value: (value, float(value))) | MISSING,
}
INSTANCES = st.lists(
    st.fixed_dictionaries(
        {name: VALUES[name] for name in ("carrier", "hour")},
        optional={name: value for name, value in VALUES.items() if name not in ("carrier", "hour")},
    ),
    min_size=1,
    max_size=5,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["AA", "\ud800", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["instances", "parameters", *VALUES]), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(INSTANCES)
def test_any_valid_instances_become_exactly_their_matrix(generated: list[dict[str, tuple[Any, float]]]) -> None:
    """Each value in its column, NaN where it is null or left out, rounded to float32 once."""
    instances = [{name: value for name, (value, _) in row.items()} for row in generated]
    expected = [[row.get(feature.name, (None, math.nan))[1] for feature in SIGNATURE.features] for row in generated]
    decoded = decode({"instances": instances})
    np.testing.assert_array_equal(decoded.matrix, np.array(expected, dtype=np.float64).astype(np.float32))
    assert decoded.matrix.dtype == np.float32
    assert decoded.matrix.flags.c_contiguous
    assert (decoded.instances, decoded.unknown, decoded.warnings.listed) == (instances, {}, [])


@given(ANYTHING, st.booleans())
def test_any_json_anywhere_is_decoded_or_refused(value: Any, unknown_is_missing: bool) -> None:
    """As a body, as the instances, as one of them or as a value in one: never another error than ours."""
    in_instance = [{"instances": [instance(**{name: value})]} for name in VALUES]
    for body in (value, {"instances": value}, {"instances": [value]}, {"parameters": value}, *in_instance):
        try:
            decoded = decode(body, unknown_is_missing=unknown_is_missing)
        except ServingError as error:
            told = json.dumps([error.detail, *map(describe_fault, error.faults)])
            assert json.loads(told)
        else:
            assert not np.isinf(decoded.matrix).any()


@given(st.binary(max_size=80))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    """No byte sequence is an error of the service."""
    with pytest.raises(InvalidRequest):
        decode(b'{"instances": [' + body)
