"""Outcomes: what came true of instances that were predicted, as callers send it and as lines of the payload log."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from app.ecs import FEEDBACK_DATASET, static_fields, timestamp
from app.errors import Fault, FaultCode, TooManyOutcomes
from app.wire.faults import Faults, escape_pointer
from app.wire.features import WrongValue, shorten
from app.wire.json_text import NotFinite, parse_json

MAX_INSTANCE = (1 << 31) - 1
# What is observed is past; clocks differ, and so do people's notions of today.
_FIRST, _CLOCKS_APART = datetime(1970, 1, 1, tzinfo=UTC), timedelta(days=1)
REQUEST_ID = r"[\x21-\x7e]{1,128}"
_STATIC = {**static_fields("info", "feedback", FEEDBACK_DATASET), "event.dataset": FEEDBACK_DATASET}


class Outcome(NamedTuple):
    """
    What came true of one instance.

    Attributes
    ----------
    request_id : str
        Of the request that asked for its prediction.
    instance : int
        Its place in that request, from 0.
    outcome : float
        Of a class, its number.
    observed_at : datetime or None
        In UTC; None where the caller does not say.
    """

    request_id: str
    instance: int
    outcome: float
    observed_at: datetime | None = None


def read_outcomes(body: bytes, max_outcomes: int) -> list[Outcome]:
    """
    Read a body of ``POST /feedback``.

    Raises
    ------
    MalformedBody
        If it is not JSON.
    TooManyOutcomes
    InvalidRequest
        With every fault of every outcome.
    """
    document, faults = parse_json(body)
    found = [
        _read_outcome(f"/outcomes/{index}", given, faults)
        for index, given in enumerate(_find_outcomes(document, max_outcomes, faults))
    ]
    faults.refuse("nothing was recorded")
    return [outcome for outcome in found if outcome]


def _find_outcomes(document: Any, max_outcomes: int, faults: Faults) -> list[Any]:
    if not isinstance(document, dict):
        faults.add("", FaultCode.NOT_AN_OBJECT, 'the body must be an object: {"outcomes": [...]}')
        return []
    _find_unknown("", document, ("outcomes",), faults)
    if "outcomes" not in document:
        faults.add("/outcomes", FaultCode.MISSING_MEMBER, "the body must have 'outcomes'")
        return []
    outcomes = document["outcomes"]
    if not isinstance(outcomes, list):
        faults.add("/outcomes", FaultCode.NOT_AN_ARRAY, f"must be an array of objects, not {shorten(outcomes)}")
        return []
    if not outcomes:
        faults.add("/outcomes", FaultCode.NO_OUTCOMES, "there must be at least one outcome")
    if len(outcomes) > max_outcomes:
        detail = f"{len(outcomes)} outcomes in one request; at most {max_outcomes} are taken"
        fault = Fault("/outcomes", FaultCode.TOO_MANY_OUTCOMES, detail)
        raise TooManyOutcomes(f"{detail}. Send them in several requests.", [fault])
    return outcomes


def _read_outcome(pointer: str, given: Any, faults: Faults) -> Outcome | None:
    if not isinstance(given, dict):
        faults.add(pointer, FaultCode.NOT_AN_OBJECT, f"must be an object, not {shorten(given)}")
        return None
    _find_unknown(pointer, given, Outcome._fields, faults)
    values: dict[str, Any] = {}
    for name, read in _READERS.items():
        if name in given:
            try:
                values[name] = read(given[name])
            except WrongValue as wrong:
                faults.add(f"{pointer}/{name}", wrong.code, wrong.describe(name) if faults.has_room else "")
        elif name not in Outcome._field_defaults:
            faults.add(f"{pointer}/{name}", FaultCode.MISSING_MEMBER, f"an outcome must have {name!r}")
    return Outcome(**values) if values.keys() >= set(_READERS) - Outcome._field_defaults.keys() else None


def _find_unknown(pointer: str, given: dict[str, Any], known: Sequence[str], faults: Faults) -> None:
    for name in given:
        if name in known:
            continue
        if faults.has_room:
            detail = f"{shorten(name)} is not known here; there may be {', '.join(map(repr, known))}"
            faults.add(f"{pointer}/{escape_pointer(name)}", FaultCode.UNKNOWN_MEMBER, detail)
        else:
            faults.n_found += 1


def _read_request_id(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(REQUEST_ID, value):
        return value
    raise WrongValue(FaultCode.NOT_AN_ID, "the 'request_id' of an answer, 1 to 128 printable ASCII characters", value)


def _read_instance(value: Any) -> int:
    if type(value) is float and value.is_integer():  # 3 and 3.0 are the same in JSON
        value = int(value)
    if type(value) is not int:
        raise WrongValue(FaultCode.NOT_AN_INTEGER, "the instance's place in its request, from 0", value)
    if not 0 <= value <= MAX_INSTANCE:
        raise WrongValue(FaultCode.OUT_OF_RANGE, f"from 0 to {MAX_INSTANCE}", value)
    return value


def _read_number(value: Any) -> float:
    if isinstance(value, NotFinite):
        raise WrongValue(FaultCode.NOT_FINITE, "a number", value)
    if not isinstance(value, bool | int | float):
        raise WrongValue(FaultCode.NOT_A_NUMBER, "a number, true or false; a class is its number, from 0", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise WrongValue(FaultCode.OUT_OF_RANGE, "a number within float64", value)
    return number


def _read_time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError
        time = time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise WrongValue(
            FaultCode.NOT_A_TIME, "a time with its offset, such as '2026-11-29T17:30:00Z'", value
        ) from None
    if not _FIRST <= time <= datetime.now(UTC) + _CLOCKS_APART:
        raise WrongValue(FaultCode.OUT_OF_RANGE, "from 1970 on, and not in the future", value)
    return time


_READERS: dict[str, Callable[[Any], Any]] = {
    "request_id": _read_request_id,
    "instance": _read_instance,
    "outcome": _read_number,
    "observed_at": _read_time,
}


def feedback_lines(outcomes: Sequence[Outcome], request_id: str, trace_id: str | None, at_us: int) -> bytes:
    """
    Lines of the payload log, one for each outcome.

    Parameters
    ----------
    request_id : str
        Of the request that told them.
    trace_id : str or None
    at_us : int
        When that came, in microseconds since the epoch.
    """
    received = timestamp(at_us / 1e6)
    line: dict[str, Any] = {"@timestamp": received, **_STATIC, "treeserve.feedback.request_id": request_id}
    if trace_id:
        line["trace.id"] = trace_id
    lines = []
    for outcome in outcomes:
        observed_at = outcome.observed_at
        line["http.request.id"] = outcome.request_id  # the prediction's, so that one search finds both
        line["treeserve.request.instance"] = outcome.instance
        line["treeserve.outcome"] = outcome.outcome
        line["treeserve.observed_at"] = f"{observed_at:%Y-%m-%dT%H:%M:%S.%fZ}" if observed_at else received
        lines.append(json.dumps(line) + "\n")
    return "".join(lines).encode()
