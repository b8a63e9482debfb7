"""The Grafana dashboard is what its script writes, and of the shape that Grafana takes."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

from monitoring.grafana.dashboard import PLACE, render

TEXT = PLACE.read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads(TEXT)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
# Those of Grafana itself, beside the dashboard's own.
GRAFANAS = {"__rate_interval", "__all", "datasource"}


def test_the_file_is_what_the_script_writes() -> None:
    """``python -m monitoring.grafana.dashboard`` writes it."""
    assert render() == TEXT


def test_every_panel_is_whole() -> None:
    """It has a title of its own, says what it is for, and asks the data source that was chosen."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        if panel["type"] == "row":
            assert panel["gridPos"]["w"] == 24
            continue
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["range"] is not target["instant"]


def test_no_panel_lies_over_another() -> None:
    """Nor beside the board, which is 24 wide."""
    for panel in PANELS:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        is_apart = any(
            one[at] + one[size] <= other[at] or other[at] + other[size] <= one[at] for at, size in ("xw", "yh")
        )
        assert is_apart, (one, other)


def test_every_variable_is_there_and_is_used() -> None:
    """Those of a panel's title and query, and of another variable."""
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", TEXT))
    assert used == names | GRAFANAS


def test_durations_have_their_exemplars() -> None:
    """From which a trace is reached."""
    with_exemplars = {panel["title"] for panel in PANELS for target in panel.get("targets", ()) if target["exemplar"]}
    assert with_exemplars == {"Requests to predict take"}
