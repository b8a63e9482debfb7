"""
Writes ``treeserve.json``, the dashboard that Grafana imports: ``python -m monitoring.grafana.dashboard``.

What it shows stands in `monitoring.grafana.panels`; here is what Grafana, from 10 on, wants around it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monitoring.grafana.panels import ROWS, SWAPS, VARIABLES, Panel

PLACE = Path(__file__).with_name("treeserve.json")
_SCHEMA_VERSION = 38  # of Grafana 10.0; later ones bring it up to date as they load it
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _STAT_HEIGHT = 24, 8, 4


def build() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row, shown in ROWS:
        panels.append(
            {"type": "row", "title": row, "collapsed": False, "panels": [], "gridPos": _place(0, y, _WIDTH, 1)}
        )
        x, y, height = 0, y + 1, 0
        for panel in shown:
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            height = max(height, _STAT_HEIGHT if panel.kind == "stat" else _HEIGHT)
            panels.append(_build_panel(panel) | {"gridPos": _place(x, y, panel.width, height)})
            x += panel.width
        y += height
    for number, built in enumerate(panels, start=1):
        built["id"] = number
    return {
        "uid": "treeserve",
        "title": "treeserve",
        "description": "It needs the rules of monitoring/prometheus/.",
        "tags": ["treeserve"],
        "schemaVersion": _SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "links": [],
        "annotations": {"list": [_build_swaps()]},
        "templating": {"list": [_build_datasource(), *(_build_variable(*one) for one in VARIABLES)]},
        "panels": panels,
    }


def _build_panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    is_range = panel.kind == "timeseries"
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "palette-classic" if is_range else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if is_range:
        shown = "off" if panel.red_from is None else "dashed"
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never", "thresholdsStyle": {"mode": shown}}
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": _DATASOURCE,
            "editorMode": "code",
            "expr": expression,
            "legendFormat": legend or "__auto",
            "exemplar": panel.has_exemplars,
            "range": is_range,
            "instant": not is_range,
            "format": "table" if panel.kind == "table" else "time_series",
        }
        for number, (expression, legend) in enumerate(panel.queries)
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _DATASOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
        "transformations": _WITHOUT_TIME if panel.kind == "table" else [],
    }


_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": _REDUCED, "colorMode": "value", "graphMode": "none", "textMode": "auto"},
    "bargauge": {"reduceOptions": _REDUCED, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True},
    "table": {"showHeader": True, "cellHeight": "sm"},
}
_WITHOUT_TIME = [
    {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value": "processes"}}},
]


def _build_swaps() -> dict[str, Any]:
    return {
        "name": "Swaps",
        "datasource": _DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "expr": SWAPS,
        "step": "60s",
        "titleFormat": "another version serves as {{role}}",
    }


def _build_datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}


def _build_variable(name: str, query: str, is_multiple: bool) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,  # whenever the time range changes
        "sort": 1,
        "hide": 0,
        "multi": is_multiple,
        "includeAll": is_multiple,
        **({"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if is_multiple else {}),
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def render() -> str:
    """The file's text."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PLACE.write_text(render(), encoding="utf-8")
