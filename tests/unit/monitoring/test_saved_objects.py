"""What Kibana imports: built of its sources, whole, and about fields that the service writes and the templates type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from monitoring.kibana import build
from tests.integration.elastic.mappings import FOLDER as ELASTICSEARCH
from tests.integration.elastic.mappings import read_types
from tests.integration.elastic.panels import find_urls, of_kind, read_saved_objects, read_spec
from tests.processes import PROJECT

OPERATIONS = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
# Of every line, or of Filebeat's, and documented by those whose they are.
NOT_OURS = re.compile(r"(@timestamp|message|ecs|log|service|host|container|kubernetes|stream|error|event|process)\b")


def find_fields(part: Any) -> Iterator[str]:
    """The fields that a question names, in aggregations, filters and scripts."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "field" and isinstance(value, str):
                yield value
            elif name in ("term", "terms") and isinstance(value, dict) and "field" not in value:
                yield from value
            elif name == "source" and isinstance(value, str):
                yield from re.findall(r"doc\['([^']+)'\]", value)
            else:
                yield from find_fields(value)
    elif isinstance(part, list):
        for each in part:
            yield from find_fields(each)


def test_the_file_is_what_the_script_makes() -> None:
    """`python monitoring/kibana/build.py` writes it."""
    assert build.TARGET.read_text(encoding="utf-8") == build.build()


def test_every_reference_leads_to_an_object_of_the_file() -> None:
    """Kibana imports nothing of a file that lacks one."""
    saved = read_saved_objects()
    for one in saved.values():
        for reference in one["references"]:
            assert saved[reference["id"]]["type"] == reference["type"]


@pytest.mark.parametrize("name", of_kind("dashboard"))
def test_a_dashboard_has_its_panels_side_by_side(name: str) -> None:
    """Each panel leads to its saved object, and none stands upon another."""
    dashboard = of_kind("dashboard")[name]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    references = {reference["name"] for reference in dashboard["references"]}
    assert {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels} == references
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridData"]
        assert grid["i"] == panel["panelIndex"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells
    assert max(x for x, _ in taken) == 47


def test_every_panel_and_table_is_on_a_dashboard() -> None:
    """What is nowhere is seen by nobody."""
    shown = {reference["id"] for one in of_kind("dashboard").values() for reference in one["references"]}
    assert shown == {id_ for id_, one in read_saved_objects().items() if one["type"] in ("visualization", "search")}


@pytest.mark.parametrize("name", of_kind("visualization"))
def test_a_panel_asks_of_fields_that_its_data_stream_has(name: str) -> None:
    """With the dashboard's time and filters, and of numbers what only numbers have."""
    (url,) = find_urls(read_spec(of_kind("visualization")[name]))
    assert (url["%context%"], url["%timefield%"], url["body"]["size"]) == (True, "@timestamp", 0)
    (dataset,) = re.findall(r"^logs-treeserve\.(\w+)-\*$", url["index"])
    own = set(url["body"].get("runtime_mappings", {}))
    named = set(find_fields(url["body"])) - own
    assert named
    assert named <= set(read_types(dataset))


@pytest.mark.parametrize("name", of_kind("search"))
def test_a_table_shows_fields_that_its_data_view_has(name: str) -> None:
    """And asks of them."""
    saved = of_kind("search")[name]
    dataset = saved["references"][0]["id"].removeprefix("treeserve-").removesuffix("-lines")
    query = json.loads(saved["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"]
    asked = set(re.findall(r"([\w.]+):", query)) - {"_exists_"} | set(re.findall(r"_exists_:([\w.]+)", query))
    shown = {*saved["attributes"]["columns"], *(field for field, _ in saved["attributes"]["sort"])}
    assert asked | shown <= set(read_types(dataset))


@pytest.mark.parametrize("dataset", build.DATASETS)
def test_every_field_that_is_typed_is_documented(dataset: str) -> None:
    """A template types nothing that no line has."""
    for name in read_types(dataset):
        if not NOT_OURS.match(name):
            field = name if name in OPERATIONS else f".{name.rpartition('.')[2]}"
            assert f"`{field}" in OPERATIONS, name


def test_lifecycles_are_of_the_data_streams() -> None:
    """One each, and both kinds of files for each dataset."""
    for folder, prefix in (("lifecycles", "treeserve-"), ("index_templates", "logs-treeserve.")):
        assert {file.stem for file in (ELASTICSEARCH / folder).iterdir()} == {f"{prefix}{d}" for d in build.DATASETS}
