"""The templates in a real Elasticsearch: every line finds its data stream and its types, however wide a model is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.line_sink import LineSink
from app.observed.bins import PROFILE_DATASET
from tests.boosters import ModelFolderBuilder, make_model, make_table, to_instances, train_booster
from tests.integration.elastic.conftest import run_install
from tests.integration.elastic.doors import Doors
from tests.integration.elastic.node import Node
from tests.services import FakeRegistry, run_service

pytestmark = pytest.mark.elastic


def properties(node: Node, stream: str) -> dict[str, Any]:
    """What a data stream's only index maps, by dotted names."""
    (resolved,) = node.ask("GET", f"/_resolve/index/{stream}")["data_streams"]
    (index,) = resolved["backing_indices"]
    found: dict[str, Any] = {}

    def walk(fields: dict[str, Any], before: str) -> None:
        for name, mapping in fields.items():
            if "type" in mapping:
                found[before + name] = mapping["type"]
            walk(mapping.get("properties", {}), f"{before}{name}.")

    walk(node.ask("GET", f"/{index}/_mapping")[index]["mappings"]["properties"], "")
    return found


def line(**fields: Any) -> dict[str, Any]:
    """A prediction's line, as far as these tests look."""
    return {
        "@timestamp": "2026-11-29T12:00:00.123456Z",
        "event.dataset": "treeserve.prediction",
        "http.request.id": "r",
        "treeserve.request.instance": 0,
        "treeserve.prediction": 0.25,
        **fields,
    }


def test_lines_of_the_service_find_their_data_streams_and_types(node: Node, tmp_path: Path) -> None:
    """Data streams are made by the first line, from our templates and not from the one that Elasticsearch brings."""
    folder = make_model(with_profile=True).write(tmp_path / "model")
    with run_service(FakeRegistry(folder), tmp_path / "log") as service:
        service.predict(*json.loads(make_table(5).to_json(orient="records")))
    lines = [json.loads(text) for text in (tmp_path / "log").read_text().splitlines()]
    for dataset in ("treeserve.prediction", PROFILE_DATASET):
        stream = f"logs-{dataset}-types"
        made = node.index(stream, *(one for one in lines if one["event.dataset"] == dataset))
        assert {item["status"] for item in made} == {201}
        assert made[0]["_index"].startswith(f".ds-{stream}-")
    types = properties(node, "logs-treeserve.prediction-types")
    assert types["treeserve.features.number.temp"] == "double"
    assert types["treeserve.features.category.carrier"] == "keyword"
    assert types["treeserve.features.other"] == "flattened"
    assert types["treeserve.prediction"] == "double"
    assert types["event.duration"] == "long"
    assert types["@timestamp"] == "date"


@pytest.mark.parametrize("place", ["file", "stdout"])
def test_five_thousand_features_stay_within_the_limit_of_fields(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """
    200 have a field of their own, and the others can be found all the same.

    On standard output an instance has several lines; whoever counts predictions counts instances.
    """
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(40, 5_000)).astype("float32"), columns=[f"f{i}" for i in range(5_000)])
    booster = train_booster(table, (table["f0"] > 0).to_numpy(float), rounds=2)
    model = ModelFolderBuilder(booster, None, table, with_golden=False, card=None).write(tmp_path / "model")
    log = tmp_path / "log"
    with log.open("wb") as output:
        monkeypatch.setattr("tests.services.standard_output", lambda: LineSink(output.fileno()))
        payload_log = "stdout" if place == "stdout" else str(log)
        with run_service(FakeRegistry(model), log, payload_log=payload_log) as service:
            service.predict(*to_instances(table.head(3)))
    lines = [json.loads(text) for text in log.read_text().splitlines()]
    assert (len(lines) > 3) == (place == "stdout")
    stream = f"logs-treeserve.prediction-{place}"
    assert {made["status"] for made in node.index(stream, *lines)} == {201}
    types = properties(node, stream)
    assert sum(name.startswith("treeserve.features.number.") for name in types) == 200
    assert len(types) < 260
    assert node.search(stream, {"query": {"exists": {"field": "treeserve.prediction"}}})["hits"]["total"]["value"] == 3
    others = {name: value for line in lines for name, value in line.get("treeserve.features.other", {}).items()}
    assert len(others) == 4_800
    name = "f4999"
    found = node.search(stream, {"query": {"term": {f"treeserve.features.other.{name}": others[name]}}})
    assert found["hits"]["total"]["value"] == 1


def test_more_typed_features_than_fields_lose_no_line(node: Node) -> None:
    """TREESERVE_LOG_TYPED_FEATURES may be too large, or one model version after the other may bring other features."""
    many = {f"f{place}": 1.0 for place in range(1_200)}
    (made,) = node.index("logs-treeserve.prediction-many", line(**{"treeserve.features.number": many}))
    assert made["status"] == 201, made
    assert len(properties(node, "logs-treeserve.prediction-many")) <= 1_000
    (hit,) = node.search("logs-treeserve.prediction-many", {})["hits"]["hits"]
    assert hit["_source"]["treeserve.features.number"] == many
    assert any(name.startswith("treeserve.features.number.f") for name in hit["_ignored"])


@pytest.mark.parametrize(
    "names", [["a", "a.b"], ["x..y", ".", "x. "], ["a b", "ü", 'quote"', "comma, star*"], ["a_b", "A_B"]], ids=str
)
def test_features_may_have_such_names(node: Node, names: list[str]) -> None:
    """A dot makes no object of a feature, or the two of the first case would be one."""
    stream = "logs-treeserve.prediction-names"
    features = dict.fromkeys(names, 1.5)
    (made,) = node.index(stream, line(**{"http.request.id": names[0], "treeserve.features.number": features}))
    assert made["status"] == 201, made
    types = properties(node, stream)
    assert {types[f"treeserve.features.number.{name}"] for name in names} == {"double"}


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_names_that_no_field_can_have_stand_among_the_others(node: Node, name: str) -> None:
    """Where the service puts them; elsewhere they would cost the line."""
    stream = "logs-treeserve.prediction-names"
    as_others, as_numbers = (
        node.index(stream, line(**{f"treeserve.features.{group}": {name: 1.5}}))[0]["status"]
        for group in ("other", "number")
    )
    assert (as_others, as_numbers) == (201, 400)


@pytest.mark.parametrize("dataset", ["prediction", "feedback", "outcome", "service"])
def test_a_trace_and_a_request_are_found_in_every_dataset(node: Node, dataset: str) -> None:
    """From Kibana's search over all of them."""
    stream = f"logs-treeserve.{dataset}-ids"
    made = node.index(stream, line(**{"trace.id": "t" * 32, "http.request.id": "r"}))
    assert made[0]["status"] == 201
    for name, value in (("trace.id", "t" * 32), ("http.request.id", "r")):
        assert node.search(stream, {"query": {"term": {name: value}}})["hits"]["total"]["value"] == 1


def test_a_field_that_cannot_be_read_costs_no_line(node: Node) -> None:
    """It is left out of the index, and stands in the document."""
    stream = "logs-treeserve.prediction-odd"
    (made,) = node.index(stream, line(**{"event.duration": "soon", "nobody.knows": {"this": 1}}))
    assert made["status"] == 201, made
    (hit,) = node.search(stream, {})["hits"]["hits"]
    assert hit["_ignored"] == ["event.duration"]
    assert "nobody.knows.this" not in properties(node, stream)


def test_every_data_stream_has_a_lifecycle_of_its_own(node: Node, doors: Doors) -> None:
    """Each template names one that was put before it; each rolls over by size and age, and deletes in the end."""
    datasets = {"prediction", "profile", "feedback", "outcome", "service"}
    assert doors.used == {f"logs-treeserve.{name}": f"treeserve-{name}" for name in datasets}
    kept = {}
    for name, (policy, _) in doors.policies.items():
        assert set(policy["phases"]) == {"hot", "delete"}
        assert set(policy["phases"]["hot"]["actions"]["rollover"]) == {"max_age", "max_primary_shard_size"}
        assert policy["phases"]["delete"]["actions"] == {"delete": {}}
        kept[name] = int(policy["phases"]["delete"]["min_age"].removesuffix("d"))
    assert (
        kept["treeserve-service"] < kept["treeserve-prediction"] < kept["treeserve-profile"] < kept["treeserve-outcome"]
    )


def test_installing_again_changes_nothing(node: Node, doors: Doors) -> None:
    """And says what it has put."""
    before = node.ask("GET", "/_index_template/logs-treeserve.*")
    ended = run_install("--elasticsearch", f"{doors.url}/")
    assert ended.returncode == 0
    assert node.ask("GET", "/_index_template/logs-treeserve.*") == before
    assert ended.stdout.splitlines()[0] == "_ilm/policy/treeserve-feedback"
    assert "_index_template/logs-treeserve.outcome" in ended.stdout
