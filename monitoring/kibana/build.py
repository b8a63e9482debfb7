#!/usr/bin/env python3
"""
Write treeserve.ndjson, what Kibana imports, out of the panels, searches and dashboards beside it.

A panel is one file of `panels/`: a Vega-Lite specification in YAML with the question that it puts to Elasticsearch, and
the buckets of the answer that are its `rows`. What several panels ask or do alike stands in `parts/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
TARGET = FOLDER / "treeserve.ndjson"
DATASETS = {
    "prediction": "what was asked and answered",
    "profile": "how it was distributed",
    "feedback": "outcomes as they came",
    "outcome": "predictions and outcomes",
    "service": "the service's events",
}
# The name of what Elasticsearch answers: one object, without aggregations where there is no such data stream yet.
_ANSWER = "answer"
_HAS_ROWS = "isValid(data('answer')[0].aggregations) && length(data('answer')[0].aggregations.{rows})"
_EMPTY = f"length(data('answer')) && {_HAS_ROWS} ? '' : 'Nothing in this time range'"
# Told apart by people with any sight (Okabe and Ito).
_COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"]
_CONFIG = {
    "kibana": {"hideWarnings": True},
    "axis": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "gridColor": "#e8e8e8"},
    "legend": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"},
    "header": {"labelFontSize": 11},
    "title": {"fontSize": 12, "fontWeight": "normal", "color": "#666666"},
    "view": {"stroke": None},
    "range": {"category": _COLORS},
}
# In milliseconds, as a person reads them.
_FORMATS = {
    "event.duration": {
        "id": "duration",
        "params": {"inputFormat": "nanoseconds", "outputFormat": "asMilliseconds", "outputPrecision": 2},
    }
}
_EVERYTHING = {"query": {"query": "", "language": "kuery"}, "filter": []}
_INDEX = "kibanaSavedObjectMeta.searchSourceJSON.index"


def build() -> str:
    """The file's text: one saved object a line."""
    objects = [*_data_views(), *_panels(), *_searches()]
    kinds = {saved["id"]: saved["type"] for saved in objects}
    objects += [_dashboard(described, kinds) for described in _read("dashboards.yml")]
    return "".join(json.dumps(saved, sort_keys=True) + "\n" for saved in objects)


def _read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def _saved(kind: str, version: str, name: str, attributes: dict[str, Any], references: Any = ()) -> dict[str, Any]:
    """A saved object; `version` is the oldest of Kibana that has its type's attributes so."""
    return {
        "id": f"treeserve-{name}",
        "type": kind,
        "attributes": attributes,
        "references": list(references),
        "coreMigrationVersion": "8.8.0",
        "typeMigrationVersion": version,
    }


def _data_views() -> Iterator[dict[str, Any]]:
    for dataset, meaning in DATASETS.items():
        attributes = {
            "title": f"logs-treeserve.{dataset}-*",
            "name": f"treeserve: {meaning}",
            "timeFieldName": "@timestamp",
            "fieldFormatMap": json.dumps(_FORMATS),
        }
        yield _saved("index-pattern", "8.0.0", f"{dataset}-lines", attributes)


def _panels() -> Iterator[dict[str, Any]]:
    for file in sorted((FOLDER / "panels").glob("*.yml")):
        panel = _read(f"panels/{file.name}")
        params = {"spec": json.dumps(_specify(panel), indent=2)}
        state = {"title": panel["title"], "type": "vega", "aggs": [], "params": params}
        attributes = {
            "title": panel["title"],
            "description": panel["description"],
            "visState": json.dumps(state),
            "uiStateJSON": "{}",
            "version": 1,
            "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(_EVERYTHING)},
        }
        yield _saved("visualization", "8.0.0", file.stem, attributes)


def _specify(panel: dict[str, Any]) -> dict[str, Any]:
    """The whole specification, with what all panels have: the dashboard's time and filters, and a look."""
    part = _read(f"parts/{panel['from']}.yml") if "from" in panel else {}
    spec, rows = panel["spec"], panel.get("rows") or part["rows"]
    data = part.get("data") or spec["data"]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": {"expr": _EMPTY.format(rows=rows)}},
        "config": _CONFIG,
        **spec,
        "data": {
            "name": _ANSWER,
            "url": {"%context%": True, "%timefield%": "@timestamp", **data["url"]},
        },
        "transform": [
            {"filter": "isValid(datum.aggregations)"},
            {"flatten": [f"aggregations.{rows}"], "as": ["row"]},
            {"calculate": "datum.row.key", "as": "key"},
            *part.get("transform", []),
            *spec.get("transform", []),
        ],
    }


def _searches() -> Iterator[dict[str, Any]]:
    for search in _read("searches.yml"):
        source = {"query": {"query": search["query"], "language": "lucene"}, "filter": [], "indexRefName": _INDEX}
        attributes = {
            "title": f"treeserve: {search['title'].lower()}",
            "description": search["description"],
            "columns": search["columns"],
            "sort": [search["sort"]],
            "grid": {},
            "hideChart": False,
            "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
        }
        view = {"name": _INDEX, "type": "index-pattern", "id": f"treeserve-{search['dataset']}-lines"}
        yield _saved("search", "8.0.0", search["id"], attributes, [view])


def _dashboard(described: dict[str, Any], kinds: dict[str, str]) -> dict[str, Any]:
    panels, references, y = [], [], 0
    for row in described["rows"]:
        x = 0
        for name, width in row["panels"].items():
            id_ = f"treeserve-{name}"
            panels.append(
                {
                    "version": "8.8.0",
                    "type": kinds[id_],
                    "panelIndex": name,
                    "gridData": {"x": x, "y": y, "w": width, "h": row["height"], "i": name},
                    "embeddableConfig": {"enhancements": {}},
                    "panelRefName": f"panel_{name}",
                }
            )
            references.append({"name": f"{name}:panel_{name}", "type": kinds[id_], "id": id_})
            x += width
        y += row["height"]
    attributes = {
        "title": described["title"],
        "description": described["description"],
        "panelsJSON": json.dumps(panels),
        "optionsJSON": json.dumps({"useMargins": True, "syncColors": False, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": described["time_from"],
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60_000},
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(_EVERYTHING)},
    }
    return _saved("dashboard", "8.7.0", described["id"], attributes, references)


if __name__ == "__main__":
    TARGET.write_text(build(), encoding="utf-8")
