"""Outcomes that callers send: what is read, what is refused and where, and the lines that are written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from app.endpoints.feedback import OutcomeInfo
from app.errors import InvalidRequest, TooManyOutcomes
from app.wire.outcomes import Outcome, feedback_lines, read_outcomes

TOLD = {"request_id": "7f9c", "instance": 3, "outcome": 1, "observed_at": "2025-11-29T18:30:00+01:00"}


def read(*outcomes: object) -> list[Outcome]:
    """What is read of outcomes."""
    return read_outcomes(json.dumps({"outcomes": outcomes}).encode(), 10_000)


def faults_of(body: bytes) -> list[tuple[str, str]]:
    """Pointer and code of each fault."""
    with pytest.raises(InvalidRequest) as caught:
        read_outcomes(body, 10_000)
    assert "nothing was recorded" in caught.value.detail or not caught.value.faults[0].pointer
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


def test_outcomes_are_read_in_their_order() -> None:
    """True and false are 1 and 0; 3.0 is 3; when it was observed may be left out."""
    observed_at = datetime(2025, 11, 29, 17, 30, tzinfo=UTC)
    assert read(TOLD, {"request_id": "!~", "instance": 0.0, "outcome": False}, {**TOLD, "observed_at": None}) == [
        Outcome("7f9c", 3, 1.0, observed_at),
        Outcome("!~", 0, 0.0),
        Outcome("7f9c", 3, 1.0),
    ]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"request_id": ""}, "not_an_id"),
        ({"request_id": "x" * 129}, "not_an_id"),
        ({"request_id": "two words"}, "not_an_id"),
        ({"request_id": "7f9c\n"}, "not_an_id"),
        ({"request_id": 7}, "not_an_id"),
        ({"instance": -1}, "out_of_range"),
        ({"instance": 2**31}, "out_of_range"),
        ({"instance": 0.5}, "not_an_integer"),
        ({"instance": True}, "not_an_integer"),
        ({"instance": "0"}, "not_an_integer"),
        ({"outcome": None}, "not_a_number"),
        ({"outcome": "late"}, "not_a_number"),
        ({"outcome": [1]}, "not_a_number"),
        ({"outcome": 10**400}, "out_of_range"),
        ({"observed_at": "2025-11-29T17:30:00"}, "not_a_time"),
        ({"observed_at": "2025-11-29"}, "not_a_time"),
        ({"observed_at": "yesterday"}, "not_a_time"),
        ({"observed_at": "2025-13-29T17:30:00Z"}, "not_a_time"),
        ({"observed_at": "0001-01-01T00:00:00+23:00"}, "not_a_time"),
        ({"observed_at": "0999-01-01T00:00:00Z"}, "out_of_range"),
        ({"observed_at": "1969-12-31T23:59:59Z"}, "out_of_range"),
        ({"observed_at": "9999-12-31T23:59:59.999999Z"}, "out_of_range"),
        ({"observed_at": 1764437400}, "not_a_time"),
        ({"observed_at": True}, "not_a_time"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(changed: dict[str, Any], code: str) -> None:
    """And nothing is recorded of the others."""
    body = json.dumps({"outcomes": [TOLD, {**TOLD, **changed}]}).encode()
    assert faults_of(body) == [(f"/outcomes/1/{next(iter(changed))}", code)]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("{", [("", "not_json")]),
        ("[]", [("", "not_an_object")]),
        ("{}", [("/outcomes", "missing_member")]),
        ('{"outcomes": {}}', [("/outcomes", "not_an_array")]),
        ('{"outcomes": []}', [("/outcomes", "no_outcomes")]),
        ('{"outcomes": [1]}', [("/outcomes/0", "not_an_object")]),
        ('{"outcome": [], "outcomes": []}', [("/outcome", "unknown_member"), ("/outcomes", "no_outcomes")]),
        (
            '{"outcomes": [{"instance": NaN, "outcome": -Infinity, "label/": 1}]}',
            [
                ("/outcomes/0/label~1", "unknown_member"),
                ("/outcomes/0/request_id", "missing_member"),
                ("/outcomes/0/instance", "not_an_integer"),
                ("/outcomes/0/outcome", "not_finite"),
            ],
        ),
        (
            '{"outcomes": [{"request_id": "a", "instance": 0, "outcome": 1, "outcome": 0}]}',
            [("/outcomes/0/outcome", "repeated_name")],
        ),
        (
            '{"outcomes": [{"request_id": "a", "instance": 0, "outcome": 1e400}]}',
            [("/outcomes/0/outcome", "out_of_range")],
        ),
    ],
)
def test_every_fault_is_told_at_once(body: str, found: list[tuple[str, str]]) -> None:
    """With its place."""
    assert faults_of(body.encode()) == found


def test_no_more_outcomes_than_instances_are_taken() -> None:
    """10,000, unless the operator says otherwise."""
    body = json.dumps({"outcomes": [TOLD] * 3}).encode()
    assert len(read_outcomes(body, 3)) == 3
    with pytest.raises(TooManyOutcomes, match="3 outcomes in one request; at most 2"):
        read_outcomes(body, 2)


def test_a_hostile_body_costs_no_text_for_each_of_its_faults() -> None:
    """They are counted; the first thousand are listed."""
    names = ",".join(f'"{n}":0' for n in range(50_000))
    with pytest.raises(InvalidRequest) as caught:
        read_outcomes(f'{{"outcomes": [{{{names}}}]}}'.encode(), 10)
    assert len(caught.value.faults) == 1_000
    assert caught.value.n_faults == 50_003


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4),
    st.sampled_from(["2025-11-29T17:30:00Z", "2025-11-29T17:30:00.5+05:30", "2025-11-29"]),
)  # fmt: skip


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys([*Outcome._fields, "more"], VALUES)),
    st.sets(st.sampled_from(Outcome._fields)),
)
def test_what_is_documented_is_what_is_read(drawn: dict[str, Any], kept: set[str]) -> None:
    """A body that the schema of ``/openapi.json`` takes is taken, and no other."""
    outcome = {**drawn, **{name: TOLD[name] for name in kept}}
    checker = FormatChecker()
    checker.checks("date-time", ValueError)(
        lambda value: not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None
    )
    schema = Draft202012Validator(OutcomeInfo.model_json_schema(), format_checker=checker)
    try:
        read(outcome)
        is_read = True
    except InvalidRequest:
        is_read = False
    assert is_read == schema.is_valid(outcome)


def test_times_keep_their_microseconds() -> None:
    """And clocks may be a little apart."""
    soon = datetime.now(UTC).replace(microsecond=999_999) + timedelta(hours=23)
    for time in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2025, 11, 29, 17, 30, 0, 123_457, tzinfo=UTC), soon):
        line = json.loads(feedback_lines(read({**TOLD, "observed_at": time.isoformat()}), "own", None, 0))
        assert line["treeserve.observed_at"].endswith(f".{time.microsecond:06d}Z")
        assert datetime.fromisoformat(line["treeserve.observed_at"]) == time


def test_lines_have_the_ids_of_both_requests() -> None:
    """The prediction's where predictions have theirs, so that one search finds both."""
    lines = feedback_lines(read(TOLD, {"request_id": "8", "instance": 0, "outcome": 0}), "own", "a" * 32, 1_000_000)
    first, second = (json.loads(line) for line in lines.decode().splitlines())
    assert first == {
        "@timestamp": "1970-01-01T00:00:01.000000Z",
        "log.level": "info",
        "message": "feedback",
        "ecs.version": "8.11.0",
        "service.name": "treeserve",
        "service.version": first["service.version"],
        "log.logger": "treeserve.feedback",
        "event.dataset": "treeserve.feedback",
        "treeserve.feedback.request_id": "own",
        "trace.id": "a" * 32,
        "http.request.id": "7f9c",
        "treeserve.request.instance": 3,
        "treeserve.outcome": 1.0,
        "treeserve.observed_at": "2025-11-29T17:30:00.000000Z",
    }
    assert second["treeserve.observed_at"] == second["@timestamp"]
    assert "trace.id" not in json.loads(feedback_lines(read(TOLD), "own", None, 0))
    assert datetime.fromisoformat(first["treeserve.observed_at"]) == datetime(2025, 11, 29, 17, 30, tzinfo=UTC)
