"""Kibana's part in tests: the questions of saved objects as Kibana puts them, and panels as it draws them."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.integration.elastic.node import Node
from tests.integration.elastic.tools import NODE_MODULES
from tests.processes import PROJECT

FOLDER = PROJECT / "monitoring" / "kibana"
_AUTO = {"%autointerval%": True}


@dataclass(frozen=True)
class Period:
    """What a person has chosen; `interval` is what Kibana makes of it for time axes."""

    since: datetime
    until: datetime
    interval: str = "1d"

    @property
    def query(self) -> dict[str, Any]:
        """As Kibana asks for it, with no filter beside."""
        ends = {"gte": self.since.isoformat(), "lte": self.until.isoformat()}
        limits = {"range": {"@timestamp": {**ends, "format": "strict_date_optional_time"}}}
        return {"bool": {"must": [limits], "filter": [], "should": [], "must_not": []}}


def read_saved_objects() -> dict[str, dict[str, Any]]:
    """What is imported, by ids."""
    lines = (FOLDER / "treeserve.ndjson").read_text(encoding="utf-8").splitlines()
    return {saved["id"]: saved for saved in map(json.loads, lines)}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    """The saved objects of one type, by their ids without what all have in common."""
    return {
        id_.removeprefix("treeserve-"): saved for id_, saved in read_saved_objects().items() if saved["type"] == kind
    }


def read_spec(visualization: dict[str, Any]) -> dict[str, Any]:
    """A panel's specification, from within its saved object."""
    spec: dict[str, Any] = json.loads(json.loads(visualization["attributes"]["visState"])["params"]["spec"])
    return spec


def find_urls(part: Any) -> Iterator[dict[str, Any]]:
    """The questions of a specification, in their order."""
    if isinstance(part, dict):
        if isinstance(part.get("data"), dict) and "index" in part["data"].get("url", {}):
            yield part["data"]["url"]
        for each in part.values():
            yield from find_urls(each)
    elif isinstance(part, list):
        for each in part:
            yield from find_urls(each)


def ask(node: Node, spec: dict[str, Any], period: Period) -> list[Any]:
    """Put a panel's questions; the answers."""
    answers = []
    for url in find_urls(spec):
        assert (url["%context%"], url["%timefield%"], "query" in url["body"]) == (True, "@timestamp", False)
        body = {**_inject(copy.deepcopy(url["body"]), period.interval), "query": period.query}
        answers.append(node.search(url["index"], body))
    return answers


def _inject(part: Any, interval: str) -> Any:
    """Kibana's own words in a question, replaced."""
    if isinstance(part, list):
        return [_inject(each, interval) for each in part]
    if not isinstance(part, dict):
        return part
    if part.get("interval") == _AUTO:
        part["fixed_interval"] = interval
        del part["interval"]
    return {name: _inject(each, interval) for name, each in part.items()}


def search(node: Node, saved: dict[str, Any], period: Period) -> Any:
    """The answer to a saved search, as Discover puts it."""
    source = json.loads(saved["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert (source["query"]["language"], source["filter"]) == ("lucene", [])
    (reference,) = saved["references"]
    index = read_saved_objects()[reference["id"]]["attributes"]["title"]
    query = period.query
    query["bool"]["must"].append({"query_string": {"query": source["query"]["query"], "analyze_wildcard": True}})
    sort = [{field: {"order": order, "unmapped_type": "boolean"}} for field, order in saved["attributes"]["sort"]]
    return node.search(index, {"size": 500, "query": query, "sort": sort, "fields": ["*"]})


def draw(spec: dict[str, Any], answers: list[Any], width: int = 620, height: int = 300) -> dict[str, Any]:
    """The panel as Kibana would draw it: `svg`, `data` by names, and `warnings`."""
    given = json.dumps({"spec": spec, "answers": answers, "width": width, "height": height})
    command = ["node", str(FOLDER / "draw.mjs"), str(NODE_MODULES.parent)]
    ended = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    drawn: dict[str, Any] = json.loads(ended.stdout)
    return drawn
