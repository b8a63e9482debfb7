"""Which features have a field of their own, what of them is hidden or cut, and how a long line is divided."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.signature import Feature, FeatureType, Signature
from app.wire.decoder import InstancesDecoder
from app.wire.encoded_lines import encode_lines
from app.wire.exchange import Exchange
from app.wire.line_format import Field, LineFormat, LineRules, Redaction
from tests.lines import join, make_format, make_maker

NUMBERS = Signature(tuple(Feature(f"x{i}", FeatureType.NUMBER) for i in range(6)))
KEY = b"k" * 32
LONG = "Zürich " * 60  # 420 characters
MIXED = Signature(
    (
        Feature("carrier", FeatureType.CATEGORY, categories=("AA", LONG)),
        Feature("gate", FeatureType.CATEGORY, categories=(10, 20)),
        Feature("n", FeatureType.LONG),
        Feature("is_late", FeatureType.BOOLEAN),
        Feature("x", FeatureType.NUMBER),
    )
)


def write(signature: Signature, instances: list[dict[str, Any]], **rules: Any) -> list[dict[str, Any]]:
    """The lines of a request, the same of both ways of writing."""
    body = json.dumps({"instances": instances}, ensure_ascii=False).encode()
    decoded = InstancesDecoder(signature).decode(body, max_instances=100, unknown_is_missing=True)
    assert decoded.instances is None
    exchange = Exchange(body, ",".join(["0.25"] * len(instances)), "r", None, 0, 0)
    pieces = list(make_maker(signature, **rules).make(exchange, decoded))
    assert sum(n for _, n in pieces) == len(instances)
    written = b"".join(piece for piece, _ in pieces)
    unknown = {
        line["treeserve.request.instance"]: line["treeserve.features.unknown"]
        for line in join([json.loads(line) for line in written.splitlines()])
        if "treeserve.features.unknown" in line
    }
    as_dicts = decoded._replace(instances=instances, unknown=unknown)
    twin = encode_lines(make_format(signature, **rules), exchange, as_dicts, None)
    for text in (written, twin):
        assert not rules.get("max_line") or max(map(len, text.splitlines())) < rules["max_line"]
    lines = join([json.loads(line) for line in written.splitlines()])
    assert lines == join([json.loads(line) for line in twin.splitlines()])
    return lines


def fields_of(signature: Signature, first: tuple[str, ...] = (), **rules: Any) -> list[Field]:
    """Where each feature's values stand."""
    return list(LineFormat.of(signature, LineRules(**rules), "", first=first).fields)


def test_as_many_features_as_are_allowed_have_a_field_of_their_own() -> None:
    """Those that are said to come first, and then the first; of what is dropped none is counted."""
    number, other, nowhere = Field.NUMBER, Field.OTHER, Field.NOWHERE
    assert fields_of(NUMBERS) == [number] * 6
    assert fields_of(NUMBERS, n_typed=2) == [number, number, other, other, other, other]
    assert fields_of(NUMBERS, ("x4", "gone", "x5"), n_typed=3) == [number, other, other, other, number, number]
    dropped = {"x0": Redaction.DROP, "unheard of": Redaction.DROP}
    assert fields_of(NUMBERS, n_typed=2, redactions=dropped) == [nowhere, number, number, other, other, other]
    assert fields_of(NUMBERS, n_typed=0) == [other] * 6


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_a_name_that_no_field_can_have_stands_among_the_others(name: str) -> None:
    """Elasticsearch would refuse the line; names with dots it takes."""
    signature = Signature((Feature(name, FeatureType.NUMBER), Feature("x..y", FeatureType.NUMBER)))
    assert fields_of(signature, (name,)) == [Field.OTHER, Field.NUMBER]


def test_the_others_stand_in_one_field() -> None:
    """With their values as they are."""
    [line] = write(MIXED, [{"carrier": "AA", "gate": 20, "n": 3, "is_late": True, "x": None}], n_typed=2)
    assert line["treeserve.features.number"] == {}
    assert line["treeserve.features.category"] == {"carrier": "AA", "gate": "20"}
    assert line["treeserve.features.other"] == {"n": 3, "is_late": 1}
    [line] = write(MIXED, [{"carrier": "AA", "gate": 20}], n_typed=2)
    assert "treeserve.features.other" not in line


def digest(value: bytes) -> str:
    """What stands for a value."""
    return hashlib.blake2s(value, key=KEY, digest_size=16).hexdigest()


def test_what_is_hidden_is_dropped_or_a_keyed_hash() -> None:
    """Of a name that of its text, of a number that of its float32, whatever way it was written."""
    redactions = dict.fromkeys(("carrier", "gate", "n", "is_late"), Redaction.HASH) | {"x": Redaction.DROP}
    for n_typed, field in ((200, "treeserve.features.category"), (0, "treeserve.features.other")):
        lines = write(
            MIXED,
            [{"carrier": "AA", "gate": 20, "n": 3, "is_late": True, "x": 1.5}, {"carrier": "new", "n": -0.0}],
            redactions=redactions,
            key=KEY,
            n_typed=n_typed,
        )
        number, yes, zero = (digest(struct.pack("<f", value)) for value in (3.0, 1.0, 0.0))
        assert lines[0][field] == {"carrier": digest(b"AA"), "gate": digest(b"20"), "n": number, "is_late": yes}
        assert lines[1][field] == {"carrier": digest(b"new"), "n": zero}
        assert lines[0]["treeserve.features.number"] == {}
        assert "1.5" not in str(lines)
        assert "new" not in str(lines)


@given(st.binary(max_size=300).filter(lambda name: name.isascii()), st.binary(max_size=32))
def test_hashes_are_those_of_rfc_7693(name: bytes, key: bytes) -> None:
    """Of every length, without a key too."""
    text = "".join(chr(97 + byte % 26) for byte in name)
    signature = Signature((Feature("c", FeatureType.CATEGORY, categories=("known",)),))
    rules = {"redactions": {"c": Redaction.HASH}, "key": key}
    [line] = write(signature, [{"c": text}], **rules)
    expected = hashlib.blake2s(text.encode(), key=key, digest_size=16).hexdigest()
    assert line["treeserve.features.category"] == {"c": expected}


@pytest.mark.parametrize("length", [255, 256, 257, 1000])
def test_a_long_text_is_cut_and_marked(length: int) -> None:
    """Characters are counted, known or not; nothing else is ever cut."""
    for text in ("a" * length, (LONG * 3)[:length]):
        signature = Signature((Feature("c", FeatureType.CATEGORY, categories=("AA", text)), NUMBERS.features[0]))
        [line] = write(signature, [{"c": text, "x0": 1}])
        assert line["treeserve.features.category"] == {"c": text[:256]}
        assert line.get("treeserve.features.cut") == (["c"] if length > 256 else None)
        hidden = {"redactions": {"c": Redaction.HASH}, "key": KEY}
        [line] = write(signature, [{"c": text, "x0": 1}], **hidden)
        assert line["treeserve.features.category"] == {"c": digest(text.encode())}
        assert "treeserve.features.cut" not in line


@pytest.mark.parametrize("max_line", [700, 1000, 16_000])
def test_a_long_line_is_divided(max_line: int) -> None:
    """Every feature stands in one of its lines, and the prediction in the first."""
    rng = np.random.default_rng(3)
    n = 1500
    signature = Signature(
        tuple(
            Feature(f"feature {i}", FeatureType.CATEGORY, categories=("AA", "DL"))
            if i % 3 == 0
            else Feature(f"feature {i}", FeatureType.NUMBER)
            for i in range(n)
        )
    )
    instances = [
        {
            feature.name: rng.choice(["AA", "DL", "B" * 40]) if feature.categories else float(rng.normal())
            for feature in signature.features
        }
        for _ in range(3)
    ]
    lines = write(signature, instances, max_line=max_line, n_typed=400)
    for line, instance in zip(lines, instances, strict=True):
        fields = [line[f"treeserve.features.{field}"] for field in ("number", "category", "other")]
        assert [len(field) for field in fields] == [266, 134, 1100]
        assert {name: value for field in fields for name, value in field.items()} == instance
        assert line["treeserve.prediction"] == 0.25
        assert line["treeserve.features.unknown"] == [name for name, value in instance.items() if value == "B" * 40]


def test_an_answer_that_is_too_long_by_itself_stands_alone() -> None:
    """Thousands of classes: nothing is lost, and that line is longer."""
    body = json.dumps({"instances": [{f"x{i}": 1.5 for i in range(6)}]}).encode()
    decoded = InstancesDecoder(NUMBERS).decode(body, max_instances=1, unknown_is_missing=False)
    exchange = Exchange(body, str([0.125] * 500).replace(" ", ""), "r", None, 0, 0)
    ((piece, n_instances),) = make_maker(NUMBERS, max_line=1000).make(exchange, decoded)
    lines = [json.loads(line) for line in piece.splitlines()]
    assert n_instances == 1
    assert [line["treeserve.part"] for line in lines] == [0, 1]
    assert lines[0]["treeserve.features.number"] == {}
    assert lines[0]["treeserve.prediction"] == [0.125] * 500
    assert "treeserve.prediction" not in lines[1]
    assert lines[1]["treeserve.features.number"] == {f"x{i}": 1.5 for i in range(6)}
