"""Every instance is a line of the payload log, with all that a prediction can be traced back by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model_version import ModelVersion
from app.signature import Feature, FeatureType, Signature
from app.wire.decoder import InstancesDecoder
from app.wire.encoded_lines import encode_lines
from app.wire.exchange import Exchange
from app.wire.log_lines import common_members, members_before_other
from tests.lines import gather, make_format
from tests.unit.wire.bodies import SIGNATURE as ANY_KIND

SIGNATURE = Signature(
    (
        Feature("carrier", FeatureType.CATEGORY, categories=("AA", "DL")),
        Feature("gate", FeatureType.CATEGORY, categories=(10, 20)),
        Feature("Größe", FeatureType.LONG),
        Feature("is_late", FeatureType.BOOLEAN),
    )
)
DECODER = InstancesDecoder(SIGNATURE)


def written(
    instances: Sequence[Mapping[str, Any]],
    predictions: Sequence[Any],
    *,
    trace_id: str | None = None,
    request_id: str = "r",
    is_plain: bool = True,
) -> list[dict[str, Any]]:
    """The lines of a request, read as JSON."""
    body = json.dumps({"instances": instances}, ensure_ascii=not is_plain).encode()
    decoded = DECODER.decode(body, max_instances=100, unknown_is_missing=True)
    told = json.dumps(predictions)[1:-1]
    exchange = Exchange(body, told, request_id, trace_id, 1_700_000_000_250_000, 1_500_000)
    lines = DECODER.line_maker(make_format(SIGNATURE, common='"who": "me"')).make(exchange, decoded)
    return [json.loads(line) for piece, n_lines in lines for line in piece.splitlines() if n_lines]


@pytest.mark.parametrize("is_plain", [True, False])
def test_an_instance_is_one_line_with_all_that_identifies_it(is_plain: bool) -> None:
    """Request, trace and what all lines have."""
    instance = {"carrier": "AA", "gate": 20, "Größe": 7, "is_late": True}
    [line] = written([instance], [0.25], trace_id="b" * 32, request_id='a"b\\c', is_plain=is_plain)
    assert line == {
        "@timestamp": "2023-11-14T22:13:20.250000Z",
        "trace.id": "b" * 32,
        "event.duration": 1_500_000,
        "http.request.id": 'a"b\\c',
        "who": "me",
        "treeserve.request.instance": 0,
        "treeserve.features.number": {"Größe": 7, "is_late": 1},
        "treeserve.features.category": {"carrier": "AA", "gate": "20"},
        "treeserve.prediction": 0.25,
    }


def test_what_is_not_there_is_left_out() -> None:
    """No trace, a missing value, no unknown category: no field, rather than null."""
    [line] = written([{"carrier": None}], [0.25])
    assert not {"trace.id", "treeserve.features.unknown"} & set(line)
    assert (line["treeserve.features.category"], line["treeserve.features.number"]) == ({}, {})


def test_a_numbered_category_is_logged_in_one_way() -> None:
    """A caller may write 10.0, and the boards still count one category."""
    for read in (
        written([{"gate": 10}, {"gate": 10.0}], [0.1, 0.2]),
        written([{"gate": 10}, {"gate": 10}], [0.1, 0.2]),
    ):
        assert [line["treeserve.features.category"] for line in read] == [{"gate": "10"}] * 2


def test_each_instance_has_its_number_its_prediction_and_its_unknown_categories() -> None:
    """A batch is a line each, in order; classes stay together."""
    predictions = [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]
    for names, unknown in ((["AA", "new", "DL"], [None, ["carrier"], None]), (["AA", "AA", "DL"], [None] * 3)):
        read = written([{"carrier": name} for name in names], predictions)
        assert [line["treeserve.request.instance"] for line in read] == [0, 1, 2]
        assert [line["treeserve.prediction"] for line in read] == predictions
        assert [line.get("treeserve.features.unknown") for line in read] == unknown


REQUEST_IDS = st.from_regex(r"[\x21-\x7e]{1,128}", fullmatch=True)


OTHERS = st.sampled_from([None, "", "0.75", "[0.25,1e-06]"])
BEFORE_OTHER = members_before_other("challenger", ModelVersion("x", '8"\n', None, None, "/x", is_immutable=True))


@given(st.integers(0, 4_000_000_000_000_000), st.integers(0, 10**15), REQUEST_IDS, OTHERS)
def test_both_ways_of_writing_are_one(at_us: int, duration_ns: int, request_id: str, others: str | None) -> None:
    """The compiled codec's lines and Python's are the same JSON, to the microsecond."""
    decoder = InstancesDecoder(ANY_KIND)
    body = '{"instances": [{"carrier": "Zürich", "hour": 3, "class": 20, "a/b": 0.5, "Größe": false, "": null}]}'
    decoded = decoder.decode(body.encode(), max_instances=1, unknown_is_missing=False)
    assert decoded.instances is None
    exchange = Exchange(body.encode(), "[0.5,0.25]", request_id, "c" * 32, at_us, duration_ns)
    lines = gather(ANY_KIND, BEFORE_OTHER)
    lines.add(*exchange)
    lines.tell([others])
    ((line, n_lines),) = lines
    as_dicts = decoded._replace(instances=json.loads(body)["instances"])
    assert n_lines == 1
    twin = encode_lines(make_format(ANY_KIND, BEFORE_OTHER), exchange, as_dicts, others)
    assert json.loads(line) == json.loads(twin)
    told = {name: value for name, value in json.loads(line).items() if "challenger" in name}
    assert told == (
        {"treeserve.challenger.version": '8"\n', "treeserve.challenger.prediction": json.loads(others)}
        if others
        else {}
    )


def test_what_all_lines_have_says_who_answers() -> None:
    """Without what the model version does not have."""
    whole = ModelVersion("flight-delay", "7", "champion", "a" * 32, "/x", is_immutable=True)
    bare = ModelVersion("x", "1", None, None, "/x", is_immutable=False)

    def model(version: ModelVersion) -> dict[str, Any]:
        members = json.loads(f"{{{common_members(version)}}}")
        assert (members["event.dataset"], members["message"]) == ("treeserve.prediction", "prediction")
        return {name.rpartition(".")[2]: value for name, value in members.items() if ".model." in name}

    assert model(whole) == {"name": "flight-delay", "version": "7", "alias": "champion", "run_id": "a" * 32}
    assert model(bare) == {"name": "x", "version": "1"}
