"""Bodies that are not JSON, or not of the shape that ``POST /predict`` reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.service.problems import GOOD, details, places, refuse
from tests.services import Service

INSTANCES = json.dumps({"instances": [GOOD]})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'instances': []}",
        INSTANCES.encode()[:-1],
        INSTANCES.encode() + b"x",
        b"\x00",
        b'{"instances": [1,]}',
    ],
)
def test_a_body_that_is_not_json_is_400_and_says_where(client: TestClient, body: bytes) -> None:
    """The caller learns line and column of what the parser did not expect."""
    document = refuse(client, body, 400, "malformed_body")
    assert places(document) == [("", "not_json")]
    assert "line 1 column" in document["detail"]


@pytest.mark.parametrize(("body", "place"), [(b'{"instances": "\xff"}', 15), (b"\xff\xfe{\x00}\x00", 0)])
def test_a_body_that_is_not_utf8_is_400_and_names_the_byte(client: TestClient, body: bytes, place: int) -> None:
    """Latin-1 and UTF-16 are not guessed at."""
    document = refuse(client, body, 400, "malformed_body")
    assert places(document) == [("", "not_utf8")]
    assert f"byte {place} " in document["detail"]


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000, b'{"instances":' + b"[" * 9_000 + b"]" * 9_000])
def test_deep_nesting_is_400(client: TestClient, nested: bytes) -> None:
    """A body that would exhaust the parser's stack is refused, and the next request is answered."""
    response = client.post("/predict", content=nested)
    assert response.status_code == 400
    assert response.json()["faults"][0]["code"] == "too_deep"
    assert client.post("/predict", content=INSTANCES).status_code == 200


def test_nesting_that_the_parser_can_take_is_a_wrong_value(client: TestClient) -> None:
    """Arrays inside a feature are told as what they are, and not written back."""
    body = json.dumps({"instances": [{**GOOD, "temp": [[[1]]]}]}).encode()
    document = refuse(client, body, 422, "invalid_request")
    assert places(document) == [("/instances/0/temp", "not_a_number")]
    assert "an array" in details(document)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true", b"NaN", f"[{json.dumps(GOOD)}]".encode()])
def test_a_body_that_is_not_an_object_is_422(client: TestClient, body: bytes) -> None:
    """The pointer is the whole body, and the detail shows the right shape."""
    document = refuse(client, body, 422, "invalid_request")
    assert places(document) == [("", "not_an_object")]
    assert '{"instances": [...]}' in details(document)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("/instances", "missing_member")]),
        ({"instances": None}, [("/instances", "not_an_array")]),
        ({"instances": GOOD}, [("/instances", "not_an_array")]),
        ({"instances": []}, [("/instances", "no_instances")]),
        ({"instances": [GOOD, [1, 2], None, "x"]}, [(f"/instances/{i}", "not_an_object") for i in (1, 2, 3)]),
        ({"instance": [GOOD]}, [("/instance", "unknown_member"), ("/instances", "missing_member")]),
        ({"instances": [GOOD], "a/b~c": 1}, [("/a~1b~0c", "unknown_member")]),
        ({"instances": [GOOD], "parameters": {"explain": True}}, [("/parameters/explain", "unknown_parameter")]),
        ({"instances": [GOOD], "parameters": []}, [("/parameters", "not_an_object")]),
        ({"instances": [GOOD], "parameters": "none"}, [("/parameters", "not_an_object")]),
    ],
)
def test_a_body_of_another_shape_is_422_with_the_place(
    client: TestClient, body: Any, expected: list[tuple[str, str]]
) -> None:
    """Members that are missing, unknown or of the wrong kind are each pointed at."""
    assert places(refuse(client, json.dumps(body).encode(), 422, "invalid_request")) == expected


def test_an_unknown_parameter_is_named(client: TestClient) -> None:
    """A parameter that does nothing is never ignored in silence."""
    body = json.dumps({"instances": [GOOD], "parameters": {"explain": True}}).encode()
    assert "'explain'" in details(refuse(client, body, 422, "invalid_request"))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"instances": [{"carrier": "UA", "hour": 1, "temp": 1.0, "temp": 2.0}]}', "/instances/0/temp"),
        ('{"instances": [{"carrier": "UA", "hour": 1, "temp": 1.0, "temp": 1.0}]}', "/instances/0/temp"),
        ('{"instances": [{"carrier": "UA", "hour": 1}], "instances": [{"carrier": "UA", "hour": 2}]}', "/instances"),
        ('{"instances": [{"carrier": "UA", "hour": 1}], "parameters": {}, "parameters": {}}', "/parameters"),
    ],
)
def test_a_name_that_stands_twice_is_a_fault(client: TestClient, body: str, pointer: str) -> None:
    """Which of two values was meant is not guessed, even if they are equal."""
    assert places(refuse(client, body.encode(), 422, "invalid_request")) == [(pointer, "repeated_name")]


def test_too_many_instances_are_413(serve: Any) -> None:
    """One more than the setting allows is refused, with both numbers; exactly as many are answered."""
    client = serve(max_instances=3).client
    document = refuse(client, json.dumps({"instances": [GOOD] * 4}).encode(), 413, "too_many_instances")
    assert places(document) == [("/instances", "too_many_instances")]
    assert "4 instances" in document["detail"]
    assert "at most 3" in document["detail"]
    assert client.post("/predict", json={"instances": [GOOD] * 3}).status_code == 200


def test_nothing_of_a_refused_request_is_logged_or_counted_as_predicted(service: Service) -> None:
    """One bad instance among good ones: nothing is predicted, and the payload log shows only what was."""
    bad = {**GOOD, "temp": "warm"}
    assert service.client.post("/predict", json={"instances": [GOOD, bad, GOOD]}).status_code == 422
    service.predict(GOOD)
    assert len(service.log_lines(1)) == 1
    assert service.sample("treeserve_rows_total") == 1
