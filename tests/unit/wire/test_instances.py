"""The codec of `/predict`: every valid body becomes its matrix, every other one tells all its faults."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from app.errors import FaultCode, InvalidRequest, MalformedBody, TooManyInstances
from app.signature import Feature, FeatureType, Signature
from app.wire._codec import Codec
from app.wire.encoded_lines import encode_lines
from app.wire.exchange import Decoded, Exchange
from app.wire.faults import MAX_LISTED_FAULTS
from app.wire.instances import InstancesReader
from app.wire.log_lines import LineMaker
from app.wire.plain import make_codec
from tests.lines import make_format
from tests.unit.wire.bodies import SIGNATURE

READER = InstancesReader(SIGNATURE)

CODEC = make_codec(SIGNATURE)
LISTED = tuple[str, FaultCode]


def assert_plain_agrees(
    body: bytes, max_instances: int = 100, codec: Codec | None = CODEC, *, unknown_is_missing: bool = False
) -> bool:
    """What the compiled codec takes is valid here too, with the same bits; returns whether it takes it."""
    assert codec is not None
    taken = codec.read(body, max_instances, unknown_is_missing, MAX_LISTED_FAULTS)
    if taken is None:
        return False
    try:
        read = READER.read(body, max_instances=max_instances, unknown_is_missing=unknown_is_missing)
    except InvalidRequest as error:
        raise AssertionError(f"taken, and not valid: {body!r}") from error
    rows, n_unknown, unknown = taken
    assert rows == read.matrix.tobytes(), body
    warnings = READER.warn(unknown, n_unknown)
    assert (warnings.n_found, warnings.listed) == (read.warnings.n_found, read.warnings.listed), body
    format_ = make_format(SIGNATURE, '"b": ')
    exchange = Exchange(body, ",".join(["[0.5]"] * len(read.matrix)), "r", None, 0, 0)
    lines = LineMaker(codec, format_).gather()
    lines.add(*exchange)
    others = ",".join(["0.25"] * len(read.matrix)) if len(body) % 2 else None
    lines.tell([others])
    written = [json.loads(line) for piece, _ in lines for line in piece.splitlines()]
    expected = encode_lines(format_, exchange, read, others)
    assert written == [json.loads(line) for line in expected.splitlines()]
    return True


def decode(body: Any, *, max_instances: int = 100, unknown_is_missing: bool = False) -> Decoded:
    """Decode a body, given as bytes or as what JSON is made from."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert_plain_agrees(raw, max_instances, unknown_is_missing=unknown_is_missing)
    return READER.read(raw, max_instances=max_instances, unknown_is_missing=unknown_is_missing)


def refusal(body: Any, **given: Any) -> InvalidRequest:
    """The error of a body that is not valid."""
    with pytest.raises(InvalidRequest) as caught:
        decode(body, **given)
    return caught.value


def faults(body: Any, **given: Any) -> list[LISTED]:
    """Place and code of each fault."""
    return [(fault.pointer, fault.code) for fault in refusal(body, **given).faults]


def instance(**values: Any) -> dict[str, Any]:
    """A valid instance with changed or further values."""
    return {"carrier": "AA", "hour": 17} | values


def test_the_order_of_the_names_makes_no_difference() -> None:
    """Features are named: a wrong order is impossible."""
    forth = decode({"instances": [{"carrier": "AA", "hour": 1, "a/b": 2.5}]}).matrix
    back = decode({"instances": [{"a/b": 2.5, "hour": 1, "carrier": "AA"}]}).matrix
    np.testing.assert_array_equal(forth, back)


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}])
def test_parameters_may_be_left_out_or_empty(parameters: dict[str, Any]) -> None:
    """There are none yet, and Vertex AI sends the member always."""
    assert decode({"instances": [instance()], **parameters}).matrix.shape == (1, 7)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [("", FaultCode.NOT_AN_OBJECT)]),
        (None, [("", FaultCode.NOT_AN_OBJECT)]),
        ({}, [("/instances", FaultCode.MISSING_MEMBER)]),
        ({"instances": None}, [("/instances", FaultCode.NOT_AN_ARRAY)]),
        ({"instances": {}}, [("/instances", FaultCode.NOT_AN_ARRAY)]),
        ({"instances": []}, [("/instances", FaultCode.NO_INSTANCES)]),
        ({"instances": [[1]]}, [("/instances/0", FaultCode.NOT_AN_OBJECT)]),
        ({"instances": [instance(), None]}, [("/instances/1", FaultCode.NOT_AN_OBJECT)]),
        ({"instances": [instance()], "a/b": 1}, [("/a~1b", FaultCode.UNKNOWN_MEMBER)]),
        ({"instances": [instance()], "parameters": []}, [("/parameters", FaultCode.NOT_AN_OBJECT)]),
        ({"instances": [instance()], "parameters": {"~": 1}}, [("/parameters/~0", FaultCode.UNKNOWN_PARAMETER)]),
        (
            {"instance": [instance()]},
            [("/instance", FaultCode.UNKNOWN_MEMBER), ("/instances", FaultCode.MISSING_MEMBER)],
        ),
        ({"instances": [{"hour": 1}]}, [("/instances/0/carrier", FaultCode.MISSING_FEATURE)]),
        ({"instances": [instance(day=1)]}, [("/instances/0/day", FaultCode.UNKNOWN_FEATURE)]),
        ({"instances": [instance(**{"\ud800": 1})]}, [("/instances/0/\ud800", FaultCode.UNKNOWN_FEATURE)]),
        ({"instances": [instance(**{"a/b": "x"})]}, [("/instances/0/a~1b", FaultCode.NOT_A_NUMBER)]),
        ({"instances": [instance(**{"a~b": True})]}, [("/instances/0/a~0b", FaultCode.NOT_AN_INTEGER)]),
        ({"instances": [instance(**{"": math.nan})]}, [("/instances/0/", FaultCode.NOT_FINITE)]),
        ({"instances": [instance(carrier="UA")]}, [("/instances/0/carrier", FaultCode.UNKNOWN_CATEGORY)]),
        (b'{"instances":[{"carrier":"AA","hour":1,"hour":2}]}', [("/instances/0/hour", FaultCode.REPEATED_NAME)]),
        (b'{"instances":[{"carrier":"AA","hour":1e400}]}', [("/instances/0/hour", FaultCode.OUT_OF_RANGE)]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_fault_is_told_with_its_place_and_code(body: Any, expected: list[LISTED]) -> None:
    """A JSON pointer leads to it, with the characters escaped that RFC 6901 says."""
    assert faults(body) == expected


def test_all_faults_of_all_instances_are_told_at_once() -> None:
    """A caller mends them in one go; nothing of the body is predicted."""
    body = {"instances": [{"hour": "x", "day": 1}, instance(), 7, instance(carrier="UA", Größe=1)], "more": 1}
    assert sorted(faults(body)) == sorted(
        [
            ("/more", FaultCode.UNKNOWN_MEMBER),
            ("/instances/0/hour", FaultCode.NOT_AN_INTEGER),
            ("/instances/0/day", FaultCode.UNKNOWN_FEATURE),
            ("/instances/0/carrier", FaultCode.MISSING_FEATURE),
            ("/instances/2", FaultCode.NOT_AN_OBJECT),
            ("/instances/3/carrier", FaultCode.UNKNOWN_CATEGORY),
            ("/instances/3/Größe", FaultCode.NOT_A_BOOLEAN),
        ]
    )
    assert refusal(body).detail == "The request has 7 faults; nothing was predicted."


def test_null_is_a_missing_value_also_of_a_required_feature() -> None:
    """Required means that the name must be there."""
    assert np.isnan(decode({"instances": [{"carrier": None, "hour": None}]}).matrix).all()


def test_one_huge_integer_does_not_spoil_the_other_instances() -> None:
    """Only the value that is out of range is a fault."""
    body = b'{"instances":[{"carrier":"AA","hour":%s},{"carrier":"AA","hour":1,"class":10}]}' % (b"9" * 5000)
    assert faults(body) == [("/instances/0/hour", FaultCode.OUT_OF_RANGE)]


def test_a_hostile_body_is_counted_whole_and_listed_in_part() -> None:
    """A hundred thousand faults do not become an answer of megabytes."""
    error = refusal({"instances": [{f"x{i}": i for i in range(500)}] * 10})
    assert (error.n_faults, len(error.faults)) == (10 * 502, MAX_LISTED_FAULTS)
    assert "5020 faults, of which the first 1000 are listed" in error.detail
    assert error.faults[0].pointer == "/instances/0/x0"


def test_repeated_names_are_counted_whole_and_listed_in_part() -> None:
    """They are found before the instances are read, and bounded all the same."""
    pairs = ",".join(f'"x{i}":1,"x{i}":2' for i in range(1500))
    error = refusal(f'{{"instances":[],{pairs}}}'.encode())
    assert (error.n_faults, len(error.faults)) == (1500 + 1500 + 1, MAX_LISTED_FAULTS)


@pytest.mark.parametrize(("name", "hint"), [("Hour", "did you mean 'hour'?"), ("zzz", "GET /model lists the features")])
def test_an_unknown_feature_comes_with_a_hint(name: str, hint: str) -> None:
    """Most are misspelt."""
    [fault] = refusal({"instances": [instance(**{name: 1})]}).faults
    assert fault.detail.endswith(hint)


def test_only_some_unknown_names_are_compared_with_the_known() -> None:
    """Comparing is slow, so a body of a thousand strange names gets few hints, each one for every instance."""
    strange = {f"hour{i}": 1 for i in range(50)}
    error = refusal({"instances": [instance(**strange), instance(**strange)]})
    hinted = [fault.detail for fault in error.faults if "did you mean 'hour'?" in fault.detail]
    assert len(hinted) == 2 * 10


def test_a_model_of_thousands_of_features_gives_no_hints() -> None:
    """Comparing with each of them would hold up every other request."""
    wide = InstancesReader(Signature(tuple(Feature(f"f{i}", FeatureType.NUMBER) for i in range(2001))))
    with pytest.raises(InvalidRequest) as caught:
        wide.read(b'{"instances": [{"F1": 1}]}', max_instances=1, unknown_is_missing=False)
    assert "did you mean" not in caught.value.faults[0].detail


@pytest.mark.parametrize("n_instances", [101, 5000])
def test_too_many_instances_are_refused_unread(n_instances: int) -> None:
    """The text says how many are answered; the faults of the instances are not looked for."""
    with pytest.raises(TooManyInstances, match="at most 100") as caught:
        decode({"instances": [None] * n_instances})
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
        ("/instances", FaultCode.TOO_MANY_INSTANCES)
    ]


def test_exactly_the_maximum_is_answered() -> None:
    """The limit itself is allowed."""
    assert len(decode({"instances": [instance()] * 100}).matrix) == 100


def test_a_body_that_is_not_json_is_malformed() -> None:
    """That is a 400, and everything else a 422."""
    with pytest.raises(MalformedBody):
        decode(b'{"instances": [')


def test_an_unknown_category_may_be_a_missing_value() -> None:
    """It is predicted as NaN, warned of and named for the log, instance by instance."""
    body = {"instances": [instance(carrier="UA", **{"class": 30}), instance(), instance(carrier="B6")]}
    decoded = decode(body, unknown_is_missing=True)
    assert np.isnan(decoded.matrix[:, 0]).tolist() == [True, False, True]
    assert decoded.unknown == {0: ["carrier", "class"], 2: ["carrier"]}
    assert [(warning.pointer, warning.code) for warning in decoded.warnings.listed] == [
        ("/instances/0/carrier", FaultCode.UNKNOWN_CATEGORY),
        ("/instances/0/class", FaultCode.UNKNOWN_CATEGORY),
        ("/instances/2/carrier", FaultCode.UNKNOWN_CATEGORY),
    ]
    assert decoded.instances == body["instances"]


def test_a_wrong_type_is_no_unknown_category_under_either_policy() -> None:
    """`missing` forgives new names, and nothing else."""
    body = {"instances": [instance(carrier=7)]}
    assert faults(body, unknown_is_missing=True) == [("/instances/0/carrier", FaultCode.NOT_A_CATEGORY)]


def test_warnings_are_listed_in_part() -> None:
    """A batch of new airports does not make the answer many times as long."""
    decoded = decode({"instances": [instance(carrier="UA")] * 1200}, max_instances=2000, unknown_is_missing=True)
    assert (len(decoded.warnings.listed), len(decoded.unknown)) == (MAX_LISTED_FAULTS, 1200)
