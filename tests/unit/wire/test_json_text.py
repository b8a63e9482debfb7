"""JSON text is read strictly: nothing that a caller wrote is lost or changed silently."""

from __future__ import annotations

import json
import math
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Fault, FaultCode, MalformedBody
from app.wire.faults import MAX_LISTED_FAULTS, Faults
from app.wire.json_text import NotFinite, _find_repeats
from app.wire.json_text import parse_json as parse_json_text


def parse_json(body: bytes) -> tuple[Any, list[Fault]]:
    """The value, and the faults that are listed."""
    value, faults = parse_json_text(body)
    return value, faults.listed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def refusal(body: bytes) -> tuple[FaultCode, str]:
    """Why a body is no JSON."""
    with pytest.raises(MalformedBody) as caught:
        parse_json(body)
    [fault] = caught.value.faults
    assert fault.pointer == ""
    assert fault.detail in caught.value.detail
    return fault.code, fault.detail


@given(JSON)
def test_any_json_is_read_as_what_it_says(value: Any) -> None:
    """Valid text in UTF-8, escaped or not, gives the same values as the standard library."""
    assert parse_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == (value, [])
    assert parse_json(json.dumps(value).encode()) == (value, [])


@given(st.binary(max_size=40) | st.text(alphabet='[]{}",:0123456789.eE+-\\u ntrfalsNI', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No byte sequence raises anything but the one refusal."""
    with suppress(MalformedBody):
        parse_json(body)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_literal_that_json_does_not_have_is_kept_apart(text: str) -> None:
    """Python would make a number of it, and the caller would never know."""
    assert parse_json(f'{{"a": [{text}]}}'.encode()) == ({"a": [NotFinite(text)]}, [])


@pytest.mark.parametrize(("text", "value"), [("1e400", math.inf), ("-1e400", -math.inf), ("1e-400", 0.0)])
def test_a_number_beyond_float64_is_infinite(text: str, value: float) -> None:
    """It is JSON; whether a feature can have it is the feature's word."""
    assert parse_json(text.encode()) == (value, [])


@pytest.mark.parametrize("sign", ["", "-"])
def test_an_integer_of_thousands_of_digits_is_infinite_and_its_neighbours_stay(sign: str) -> None:
    """Python refuses to parse it; the other integers of the body must not become floats for it."""
    value, faults = parse_json(f"[3, {sign}{'9' * 5000}, -7]".encode())
    assert [(item, type(item)) for item in value] == [(3, int), (float(f"{sign}inf"), float), (-7, int)]
    assert faults == []


def test_an_integer_that_python_parses_is_exact() -> None:
    """No digit is lost before the feature has been asked."""
    assert parse_json(b"9007199254740993") == (9007199254740993, [])


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b'{"a": 1, "a": 2}', ["/a"]),
        (b'{"a": 1, "a": 1, "a": 1, "b": 2, "b": 3}', ["/a", "/b"]),
        (b'{"instances": [{}, {"x": 1, "x": 2}]}', ["/instances/1/x"]),
        (b'{"a/b": {"c~d": 1, "c~d": 2}}', ["/a~1b/c~0d"]),
        (b'{"": 1, "": 2}', ["/"]),
        (b'{"Gr\\u00f6\\u00dfe": 1, "Gr\xc3\xb6\xc3\x9fe": 2}', ["/Größe"]),
        (b'{"\\ud800": 1, "\\ud800": 2}', ["/\ud800"]),
    ],
    ids=repr,
)
def test_a_repeated_name_is_told_with_its_place(body: bytes, pointers: list[str]) -> None:
    """One of the two values would be thrown away silently, and nobody knows which was meant."""
    _, faults = parse_json(body)
    assert [(fault.pointer, fault.code) for fault in faults] == [
        (pointer, FaultCode.REPEATED_NAME) for pointer in pointers
    ]


def test_the_last_of_two_values_is_kept() -> None:
    """The rest of the body is still checked with it, so that all faults are told at once."""
    value, _ = parse_json(b'{"a": 1, "a": 2}')
    assert value == {"a": 2}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "line 1 column 1"),
        (b"{", "line 1 column 2"),
        (b'{"instances": [}', "line 1 column 16"),
        (b'{\n  "a": 1,\n}', "line 3 column 1"),
        (b"{} x", "line 1 column 4"),
        (b"{'a': 1}", "line 1 column 2"),
        (b"nan", "line 1 column 1"),
        (b"01", "line 1 column 2"),
        (b'"\x01"', "line 1 column 2"),
        (b"\xef\xbb\xbf{}", "line 1 column 1"),
    ],
    ids=repr,
)
def test_what_is_not_json_is_refused_with_the_place(body: bytes, place: str) -> None:
    """The caller finds the comma that is missing or too many."""
    code, detail = refusal(body)
    assert code == FaultCode.NOT_JSON
    assert detail.endswith(f"at {place}")


@pytest.mark.parametrize(
    ("body", "byte"), [(b'{"a": "\xff"}', 7), (b"\xff\xfe{\x00}\x00", 0), (b'"\xed\xa0\x80"', 1)], ids=repr
)
def test_bytes_that_are_not_utf8_are_refused_with_the_place(body: bytes, byte: int) -> None:
    """UTF-16, Latin-1 and encoded surrogates are no JSON that is sent between systems."""
    assert refusal(body) == (FaultCode.NOT_UTF8, f"byte {byte} is not UTF-8")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_a_body_nested_beyond_all_use_is_refused(body: bytes) -> None:
    """A few kilobytes of brackets must not end the process."""
    assert refusal(body)[0] == FaultCode.TOO_DEEP


def test_a_deep_body_that_python_reads_is_searched_for_repeats() -> None:
    """The search needs no deeper stack than the parser did."""
    n = 400
    body = b'{"a":' * n + b'{"b":1,"b":2}' + b"}" * n
    _, [fault] = parse_json(body)
    assert fault.pointer == "/a" * n + "/b"


def test_a_repeated_name_below_a_long_one_costs_no_memory() -> None:
    """A pointer is made for a listed fault alone: one for each child would be their number times the name's length."""
    body = b'{"a":0,"a":0,"' + b"x" * 1_000_000 + b'":[' + b"[0]," * 20_000 + b"0]}"
    value, _ = parse_json_text(body)
    faults = Faults()
    tracemalloc.start()
    try:
        _find_repeats(value, faults)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [fault.pointer for fault in faults.listed] == ["/a"]
    assert peak < 100_000


def test_an_absurdly_long_name_is_cut_where_it_is_shown() -> None:
    """A caller's megabyte is not sent back, let alone once a fault."""
    _, [fault] = parse_json(b'{"' + b"x" * 1_000_000 + b'":{"b":1,"b":2}}')
    assert fault.pointer == "/" + "x" * 256 + "…/b"


def test_faults_beyond_those_listed_are_counted() -> None:
    """A body of nothing but repeated names does not become as many texts."""
    _, faults = parse_json_text(b"[" + b'{"a":0,"a":0},' * 5_000 + b"0]")
    assert (faults.n_found, len(faults.listed)) == (5_000, MAX_LISTED_FAULTS)
