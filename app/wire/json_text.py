"""
JSON text to Python values, stricter than the standard library and never silent.

A repeated name, `NaN`, `Infinity` or bytes that are not UTF-8 are kept track of or refused,
where ``json.loads`` alone would let them through.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import Fault, FaultCode, MalformedBody
from app.wire.faults import Faults, escape_pointer


class RepeatedNames(dict[str, Any]):
    """A JSON object in which a name stands twice; the last value is kept, the names are told."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.names = {name for name, _ in pairs if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


@dataclass(frozen=True, slots=True)
class NotFinite:
    """A literal that Python's parser takes for a number and JSON does not have."""

    text: str


def parse_json(body: bytes) -> tuple[Any, Faults]:
    """
    Parse JSON text.

    Parameters
    ----------
    body : bytes
        JSON text in UTF-8.

    Returns
    -------
    value : object
        Numbers beyond float64 are infinite, `NaN` and the like are `NotFinite`.
    faults : Faults
        With one for each name that stands twice in an object.

    Raises
    ------
    MalformedBody
        If it is not JSON text at all.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(FaultCode.NOT_UTF8, f"byte {error.start} is not UTF-8") from None
    repeats = False

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        repeats = True
        return RepeatedNames(pairs)

    try:
        try:
            value = json.loads(text, object_pairs_hook=to_object, parse_constant=NotFinite)
        except json.JSONDecodeError:
            raise
        except ValueError:  # Python refuses to parse an integer of thousands of digits
            value = json.loads(text, object_pairs_hook=to_object, parse_constant=NotFinite, parse_int=_parse_integer)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise _malformed(FaultCode.NOT_JSON, f"{error.msg} at {where}") from None
    except RecursionError:
        raise _malformed(FaultCode.TOO_DEEP, "arrays and objects are nested too deeply") from None
    faults = Faults()
    if repeats:
        _find_repeats(value, faults)
    return value, faults


def _parse_integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # as a float it is infinite
        return float(digits)


def _find_repeats(value: Any, faults: Faults) -> None:
    """Where in a parsed value an object repeats a name; in memory that only its depth decides."""
    steps: list[str | int] = []  # from the root, which has a step too, to where the search is
    children: list[Iterator[tuple[str | int, Any]]] = [iter([("", value)])]
    while children:
        for step, child in children[-1]:
            if isinstance(child, dict | list):
                steps.append(step)
                for name in sorted(child.names) if isinstance(child, RepeatedNames) else ():
                    if faults.has_room:
                        faults.add(_point(steps, name), FaultCode.REPEATED_NAME, "the name stands twice; keep one")
                    else:
                        faults.n_found += 1
                children.append(iter(child.items() if isinstance(child, dict) else enumerate(child)))
                break
        else:
            children.pop()
            if steps:
                steps.pop()


def _point(steps: Sequence[str | int], name: str) -> str:
    return "".join(f"/{escape_pointer(str(step))}" for step in [*steps[1:], name])


def _malformed(code: FaultCode, detail: str) -> MalformedBody:
    return MalformedBody(f"The body could not be read: {detail}.", [Fault("", code, detail)])
