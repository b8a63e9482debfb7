"""UBJSON is read as XGBoost writes it, and only where it is whole."""

from __future__ import annotations

import json
from struct import pack
from typing import Any

import numpy as np
import pytest
import xgboost

from app.forest.ubjson import UbjsonError, read_ubjson
from tests.boosters import ModelFolderBuilder, make_table, make_target, train_booster


def long(number: int) -> bytes:
    """A length as XGBoost writes it."""
    return b"L" + pack(">q", number)


def to_plain(value: Any) -> Any:
    """The same with lists for arrays, and floats rounded to the float32 that JSON's digits stand for."""
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, dict):
        return {name: to_plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [to_plain(one) for one in value]
    return float(np.float32(value)) if isinstance(value, float) else value


@pytest.mark.parametrize(
    "parameters",
    [{}, {"booster": "dart"}, {"grow_policy": "lossguide", "max_leaves": 4}, {"objective": "multi:softprob"}],
    ids=str,
)
@pytest.mark.parametrize("carriers", [["AA", "DL"], [10, 20], ["Zürich", "東京"]])
def test_a_booster_reads_as_its_json_does(parameters: dict[str, Any], carriers: list[Any]) -> None:
    """Two accounts of one booster, of which Python's own library reads the other."""
    table = make_table(carriers=carriers)
    more = {"num_class": 2} if "objective" in parameters else {}
    booster: xgboost.Booster = train_booster(table, make_target(table), parameters | more)
    read = to_plain(read_ubjson(bytes(booster.save_raw("ubj"))))
    assert read == to_plain(json.loads(bytes(booster.save_raw("json"))))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"i\xff", -1),
        (b"U\xff", 255),
        (b"I\xff\xfe", -2),
        (b"l" + pack(">i", -(2**31)), -(2**31)),
        (b"L" + pack(">q", 2**62), 2**62),
        (b"d" + pack(">f", 0.5), 0.5),
        (b"D" + pack(">d", 0.1), 0.1),
        (b"T", True),
        (b"F", False),
        (b"Z", None),
        (b"SU\x03\xe2\x82\xac", "€"),
        (b"{}", {}),
        (b"{i\x01aTi\x01b[]}", {"a": True, "b": []}),
        (b"[TF]", [True, False]),
        (b"[#i\x02Ti\x05", [True, 5]),
    ],
)
def test_every_kind_of_value_is_read(raw: bytes, value: Any) -> None:
    """With a length of any integer type."""
    assert read_ubjson(raw) == value


def test_an_array_of_one_type_has_the_machines_byte_order() -> None:
    """Ready to be computed with."""
    read = read_ubjson(b"[$l#" + long(2) + pack(">ii", 1, -2))
    assert read.dtype == np.int32
    assert read.dtype.isnative
    assert read.tolist() == [1, -2]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "ends early"),
        (b"{", "ends early"),
        (b"[", "ends early"),
        (b"{i\x01a", "ends early"),
        (b"S" + long(5) + b"abc", "ends early"),
        (b"[$d#" + long(2) + bytes(7), "ends early"),
        (b"[$d#" + long(2**62), "ends early"),
        (b"[#" + long(2**62), "ends early"),
        (b"T ", "1 bytes follow its end"),
        (b"N", "byte 0 is no value: b'N'"),
        (b"[$Z#" + long(2**40), "no type of numbers"),
        (b"[$i", "ends early"),
        (b"[$ii\x01]", "with a type at byte 3 has no count"),
        (b"{i\x01aTi\x01aF}", "stands in its object twice: 'a'"),
        (b"S" + long(-1), "negative"),
        (b"Sd" + bytes(4), "no length"),
        (b"SU\x01\xff", "not UTF-8"),
        (b"[" * 65, "more than 64 levels"),
        (b"[" * 100_000, "more than 64 levels"),
    ],
    ids=lambda given: repr(given[:20]),
)
def test_what_is_not_whole_is_refused(raw: bytes, told: str) -> None:
    """No length is believed before its bytes are there, and no depth before it is reached."""
    with pytest.raises(UbjsonError, match=told):
        read_ubjson(raw)


def test_a_name_may_stand_in_one_object_and_in_another() -> None:
    """As in every tree of a forest."""
    assert read_ubjson(b"{i\x01a{i\x01aT}i\x01b{i\x01aF}}") == {"a": {"a": True}, "b": {"a": False}}


def test_every_shorter_booster_is_refused(model: ModelFolderBuilder) -> None:
    """Wherever a copy was cut."""
    raw = bytes(model.booster.save_raw("ubj"))
    assert read_ubjson(raw)
    for end in range(0, len(raw), 7):
        with pytest.raises(UbjsonError, match="ends early"):
            read_ubjson(raw[:end])
