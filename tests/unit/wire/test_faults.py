"""Faults are collected with bounded memory, and told with their number."""

from __future__ import annotations

import pytest

from app.errors import FaultCode, InvalidRequest
from app.wire.faults import MAX_LISTED_FAULTS, Faults, escape_pointer


@pytest.mark.parametrize(("name", "step"), [("a/b", "a~1b"), ("a~b", "a~0b"), ("~1", "~01"), ("", ""), ("ö", "ö")])
def test_a_name_is_one_step_of_a_pointer(name: str, step: str) -> None:
    """RFC 6901 escapes two characters, in this order."""
    assert escape_pointer(name) == step


@pytest.mark.parametrize("character", ["x", "/", "\ud800"])
def test_an_absurdly_long_name_is_cut(character: str) -> None:
    """A megabyte sent is not a megabyte sent back; what is left is still well escaped."""
    step = escape_pointer(character * 1_000_000)
    assert step.endswith("…")
    assert step[:-1] == escape_pointer(character) * 256


def test_the_first_are_listed_and_all_are_counted() -> None:
    """What is not listed is not even described."""
    faults = Faults()
    n_described = 0

    def describe(name: str) -> str:
        nonlocal n_described
        n_described += 1
        return f"about {name}"

    for index in range(MAX_LISTED_FAULTS - 1):
        faults.add_lazily(index, "a/b", FaultCode.UNKNOWN_FEATURE, describe)
    faults.add("/x", FaultCode.UNKNOWN_MEMBER, "no")
    for index in range(5):
        faults.add_lazily(index, "a/b", FaultCode.UNKNOWN_FEATURE, describe)
        faults.add("/y", FaultCode.UNKNOWN_MEMBER, "no")
    assert (len(faults.listed), faults.n_found) == (MAX_LISTED_FAULTS, MAX_LISTED_FAULTS + 10)
    assert n_described == MAX_LISTED_FAULTS - 1
    assert (faults.listed[7].pointer, faults.listed[7].detail) == ("/instances/7/a~1b", "about a/b")
    assert faults.listed[-1].pointer == "/x"


@pytest.mark.parametrize(
    ("n_faults", "text"),
    [
        (1, "The request has 1 fault; nothing was predicted."),
        (MAX_LISTED_FAULTS, "The request has 1000 faults; nothing was predicted."),
        (MAX_LISTED_FAULTS + 1, "has 1001 faults, of which the first 1000 are listed; nothing was predicted."),
    ],
)
def test_the_refusal_says_how_many_there_are(n_faults: int, text: str) -> None:
    """And whether all of them are listed."""
    faults = Faults()
    for _ in range(n_faults):
        faults.add("/x", FaultCode.UNKNOWN_MEMBER, "no")
    with pytest.raises(InvalidRequest) as caught:
        faults.refuse()
    assert text in caught.value.detail
    assert caught.value.n_faults == n_faults


def test_without_faults_nothing_is_refused() -> None:
    """The way of nearly every request."""
    Faults().refuse()
