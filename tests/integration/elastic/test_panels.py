"""Every panel and table of the dashboards, over real flights in a real Elasticsearch: the numbers are pandas's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from model.observed.drift import measure_drift
from model.observed.live_figures import measure
from tests.integration.elastic.flights import FlightLogs
from tests.integration.elastic.mappings import read_types
from tests.integration.elastic.node import DATASETS, Node
from tests.integration.elastic.panels import Period, ask, draw, of_kind, read_spec, search
from tests.integration.elastic.tools import has_filebeat, has_vega

pytestmark = [
    pytest.mark.elastic,
    pytest.mark.skipif(not has_vega(), reason="there is no Vega (python -m tests.integration.elastic.tools)"),
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),  # of MLflow's own use of pandas
]
# A folder for the drawings, for whoever wants to look at them; docs/pictures has been made of them.
PICTURES = os.environ.get("PICTURES")
# Of fewer outcomes in a week, two that share a bin move the area under the curve by far more than bins do else.
FEW = 30


@pytest.fixture(scope="module")
def period(shipped: FlightLogs) -> Period:
    """All of it."""
    return Period(shipped.since, shipped.until)


@pytest.fixture(scope="module")
def panel(node: Node, period: Period) -> Callable[[str], Any]:
    """What is drawn of a panel, each drawn once."""
    drawn: dict[str, Any] = {}
    specs = {name: read_spec(saved) for name, saved in of_kind("visualization").items()}

    def draw_panel(name: str) -> Any:
        if name not in drawn:
            drawn[name] = draw(specs[name], ask(node, specs[name], period))
            if PICTURES:
                Path(PICTURES, f"{name}.svg").write_text(drawn[name]["svg"])
        return drawn[name]

    return draw_panel


def rows(panel: Any, *columns: str) -> list[dict[str, Any]]:
    """The last data of a drawing that have these columns."""
    found: list[list[dict[str, Any]]] = [
        data for data in panel["data"].values() if data and set(columns) <= set(data[0])
    ]
    return found[-1]


def days(times: Any) -> Any:
    """In milliseconds, as a histogram by days has them for keys."""
    return times.dt.floor("D").astype("datetime64[ms, UTC]").astype("int64")


def weeks(times: Any) -> Any:
    """The Mondays, in the same way."""
    return days(times.dt.floor("D") - pd.to_timedelta(times.dt.day_of_week, unit="D"))


def predictions(logs: FlightLogs) -> pd.DataFrame:
    """The lines that have one."""
    return logs.of("prediction").dropna(subset="treeserve.prediction")


@pytest.fixture(scope="module")
def outcomes(node: Node, shipped: FlightLogs) -> pd.DataFrame:
    """Predictions with their outcomes, joined by pandas and not by the command."""
    key = ["http.request.id", "treeserve.request.instance"]
    told = shipped.of("feedback")[[*key, "treeserve.outcome"]].drop_duplicates()
    joined = predictions(shipped).merge(told, on=key, validate="one_to_one")
    assert node.count("logs-treeserve.outcome-default") == len(joined) > 1_500
    return joined


def test_every_line_is_there_once(node: Node, shipped: FlightLogs) -> None:
    """Sent is indexed, data stream by data stream."""
    for dataset in set(DATASETS) - {"outcome"}:
        assert node.count(f"logs-treeserve.{dataset}-default") == len(shipped.of(dataset)) > 0


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_field_that_is_logged_has_a_type(node: Node, shipped: FlightLogs, dataset: str) -> None:
    """Or it could not be searched; Filebeat's own too."""
    types = read_types(dataset)
    hits = node.search(f"logs-treeserve.{dataset}-default", {"size": 1_000})["hits"]["hits"]
    logged = {name for hit in hits for name in hit["_source"] if name not in ("log", "host")}
    if dataset != "outcome" and has_filebeat():
        assert {"log", "host"} <= {name for hit in hits for name in hit["_source"]}
    assert logged
    assert logged <= set(types)


def test_requests_and_instances_are_counted_by_day_and_version(panel: Any, shipped: FlightLogs) -> None:
    """A request is its first instance."""
    lines = predictions(shipped)
    for name, chosen in (("instances", lines), ("requests", lines[lines["treeserve.request.instance"] == 0])):
        drawn = rows(panel(name), "version")
        found = {(row["key"], row["version"]["key"]): row["version"]["doc_count"] for row in drawn}
        counted = chosen.groupby([days(chosen["at"]), "treeserve.model.version"]).size()
        assert found == counted.to_dict()
    assert len(set(lines["treeserve.model.version"])) == 2
    assert lines["http.request.id"].nunique() == (lines["treeserve.request.instance"] == 0).sum() < len(lines)


def test_durations_are_those_of_requests(panel: Any, shipped: FlightLogs) -> None:
    """Elasticsearch's percentiles are near the exact ones, and exact in the middle."""
    lines = predictions(shipped)
    first = lines[lines["treeserve.request.instance"] == 0]
    by_day = first.groupby(days(first["at"]))["event.duration"]
    drawn = rows(panel("latency"), "ms", "name")
    assert len(drawn) == 3 * by_day.ngroups
    for row in drawn:
        exact = by_day.get_group(row["key"]) / 1e6
        assert exact.min() <= row["ms"] <= exact.max()
        if row["name"] == "p50" or len(exact) < 20:
            assert row["ms"] == pytest.approx(exact.quantile(int(row["name"][1:]) / 100), rel=0.05)


def test_events_are_counted_by_level_and_errors_by_type(panel: Any, shipped: FlightLogs) -> None:
    """The registry that had no such alias is one."""
    lines = shipped.of("service")
    drawn = rows(panel("events"), "level")
    found = {(row["key"], row["level"]["key"]): row["level"]["doc_count"] for row in drawn}
    assert found == lines.groupby([days(lines["at"]), "log.level"]).size().to_dict()
    drawn = rows(panel("errors"), "row")
    assert {one["key"]: one["row"]["doc_count"] for one in drawn} == lines["error.type"].value_counts().to_dict()


def test_predictions_are_distributed_as_pandas_has_them(panel: Any, shipped: FlightLogs) -> None:
    """Share by version and bin."""
    lines = predictions(shipped)
    drawn = rows(panel("predictions"), "share", "middle")
    found = {(row["key"], round(row["middle"] * 20 - 0.5)): row["share"] for row in drawn}
    bins = np.floor(lines["treeserve.prediction"] / 0.05).astype(int)
    counted = lines.groupby("treeserve.model.version")["treeserve.prediction"].count()
    shares = lines.groupby(["treeserve.model.version", bins]).size() / counted
    assert found == pytest.approx(shares.to_dict())


def test_drift_is_what_the_command_says(panel: Any, shipped: FlightLogs) -> None:
    """Of the version of which most was seen, the largest first."""
    lines = shipped.of("profile")
    counts = lines.groupby("treeserve.model.version")["treeserve.profile.count"].sum()
    counts = counts[counts == counts.max()].sort_index()
    read = [{str(name): value for name, value in line.items()} for line in lines.to_dict("records")]
    most = str(counts.index[-1])
    _, drifts = measure_drift(read, version=most)
    expected = {"the prediction" if drift.kind == "prediction" else drift.name: drift.psi for drift in drifts}
    drawn = rows(panel("drift"), "psi", "rank")
    assert {row["name"]: row["psi"] for row in drawn} == pytest.approx(expected)
    assert {row["version"] for row in drawn} == {most}
    by_rank = sorted(drawn, key=lambda row: int(row["rank"]))
    assert [row["psi"] for row in by_rank] == pytest.approx(sorted(expected.values(), reverse=True))
    shares = rows(panel("features"), "observed", "feature")
    worst = sorted(expected, key=lambda name: -expected[name])[:6]
    assert {row["name"] for row in shares} == set(worst)
    for drift in drifts:
        if drift.kind == "feature" and drift.name in worst:
            found = {
                row["bin"]["key"]: (row["observed"], row["reference"]) for row in shares if row["name"] == drift.name
            }
            pairs = zip(drift.observed, drift.reference, strict=True)
            assert found == {label: pytest.approx(pair) for label, pair in zip(drift.bins, pairs, strict=True)}


def test_champion_and_challenger_are_compared_instance_by_instance(panel: Any, shipped: FlightLogs) -> None:
    """Both predictions of a line."""
    lines = predictions(shipped).dropna(subset="treeserve.challenger.prediction")
    champion, challenger = lines["treeserve.prediction"], lines["treeserve.challenger.prediction"]
    assert len(lines) > 1_000
    cells = [np.floor(side / 0.05).astype(int).to_numpy() for side in (champion, challenger)]
    drawn = rows(panel("both"), "cell")
    found = {(round(row["key"] / 0.05), round(row["cell"]["key"] / 0.05)): row["cell"]["doc_count"] for row in drawn}
    assert found == pd.DataFrame(cells).T.groupby([0, 1]).size().to_dict()
    drawn = rows(panel("difference"), "right")
    found = {round(row["key"] / 0.01): row["row"]["doc_count"] for row in drawn}
    assert found == np.floor((challenger - champion) / 0.01).astype(int).value_counts().to_dict()


def test_a_canary_is_compared_the_other_way_round(node: Node) -> None:
    """The challenger has answered, and the champion's prediction stands beside."""
    line = {
        "@timestamp": "2020-05-05T12:00:00Z",
        "treeserve.prediction": 0.8,
        "treeserve.champion.version": "1",
        "treeserve.champion.prediction": 0.325,
    }
    (made,) = node.index("logs-treeserve.prediction-canary", line)
    assert made["status"] == 201
    then = Period(*pd.to_datetime(["2020-05-01T00:00:00Z", "2020-06-01T00:00:00Z"]).to_pydatetime())
    specs = {name: read_spec(of_kind("visualization")[name]) for name in ("both", "difference")}
    drawn = {name: draw(spec, ask(node, spec, then)) for name, spec in specs.items()}
    (cell,) = rows(drawn["both"], "cell")
    assert (cell["key"], cell["cell"]["key"]) == pytest.approx((0.3, 0.8))
    (difference,) = rows(drawn["difference"], "right")
    assert difference["key"] == pytest.approx(0.47)


def test_auc_is_that_of_each_week(panel: Any, outcomes: pd.DataFrame) -> None:
    """Of who answered and of who was in shadow: exactly of the bins, and nearly of the predictions themselves."""
    week = weeks(outcomes["at"])
    expected: dict[tuple[Any, ...], float] = {}
    exact: dict[tuple[Any, ...], float] = {}
    for role, version, column in (
        ("answered", "treeserve.model.version", "treeserve.prediction"),
        ("in shadow", "treeserve.challenger.version", "treeserve.challenger.prediction"),
    ):
        for key, of_week in outcomes.groupby([week, outcomes[version]]):
            if of_week["treeserve.outcome"].nunique() == 2:
                bins = np.floor(of_week[column] / 0.01)
                expected[(*key, role)] = roc_auc_score(of_week["treeserve.outcome"], bins)
                if len(of_week) >= FEW:
                    exact[(*key, role)] = roc_auc_score(of_week["treeserve.outcome"], of_week[column])
    drawn = rows(panel("auc"), "auc")
    found: dict[tuple[Any, ...], float] = {(row["key"], row["name"], row["as"]): row["auc"] for row in drawn}
    assert found == pytest.approx(expected)
    assert {key: found[key] for key in exact} == pytest.approx(exact, abs=0.01)
    assert len({key[2] for key in exact}) == 2
    assert len({key[0] for key in exact}) > 3


def test_auc_is_right_where_a_version_was_in_shadow_in_two_roles(node: Node) -> None:
    """As challenger, and then as champion beside a canary, in one week; as python -m model outcomes says."""
    drawn = np.random.default_rng(11)
    lines = []
    for number in range(600):
        outcome = int(drawn.integers(2))
        answered, shadow = np.clip(0.2 + 0.5 * outcome + drawn.normal(0, 0.25, 2), 0, 1).round(4).tolist()
        role, versions = ("challenger", "12") if number % 3 else ("champion", "32")
        lines.append(
            {
                "@timestamp": f"2020-01-{6 + number % 7:02d}T12:00:00.000000Z",
                "event.dataset": "treeserve.outcome",
                "treeserve.model.name": "flights",
                "treeserve.model.version": versions[0],
                "treeserve.prediction": answered,
                f"treeserve.{role}.version": versions[1],
                f"treeserve.{role}.prediction": shadow,
                "treeserve.outcome": outcome,
            }
        )
    results = node.index("logs-treeserve.outcome-canary", *lines)
    assert {result["status"] for result in results} == {201}, results
    spec = read_spec(of_kind("visualization")["auc"])
    period = Period(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC))
    found = {(row["name"], row["as"]): row["auc"] for row in rows(draw(spec, ask(node, spec, period)), "auc")}
    roles = {"answered": "answered", "shadow": "in shadow"}
    expected = {(one.version, roles[one.role]): one.figures["auc"] for one in measure(lines) if one.week}
    assert set(found) == {("1", "answered"), ("3", "answered"), ("2", "in shadow")}
    assert found == pytest.approx(expected, abs=0.01)


def calibrate(outcomes: pd.DataFrame, by: Any, bins: Any) -> dict[Any, tuple[float, float, int]]:
    """What was predicted, how often it came true, and of how many."""
    return {
        key: (of_bin["treeserve.prediction"].mean(), of_bin["treeserve.outcome"].mean(), len(of_bin))
        for key, of_bin in outcomes.groupby([by, bins])
    }


def test_calibration_is_that_of_each_bin(panel: Any, outcomes: pd.DataFrame) -> None:
    """By version, and by week."""
    bins = np.floor(outcomes["treeserve.prediction"] / 0.1).astype(int)
    by_version = calibrate(outcomes, outcomes["treeserve.model.version"], bins)
    drawn = rows(panel("calibration"), "predicted", "observed")
    assert len(drawn) == len(by_version)
    for row in drawn:
        expected = by_version[row["key"], round(row["bin"]["key"] / 0.1)]
        assert (row["predicted"], row["observed"], row["outcomes"]) == pytest.approx(expected)
    by_week = calibrate(outcomes, weeks(outcomes["at"]), bins)
    drawn = rows(panel("calibration_by_week"), "difference", "outcomes")
    assert len(drawn) == len(by_week)
    for row in drawn:
        predicted, observed, n_outcomes = by_week[row["key"], round(row["bin"]["key"] / 0.1)]
        assert (row["difference"], row["outcomes"]) == pytest.approx((observed - predicted, n_outcomes))


@pytest.mark.parametrize("name", of_kind("visualization"))
def test_a_panel_is_drawn_without_a_warning(panel: Any, name: str) -> None:
    """And has marks in it."""
    drawn = panel(name)
    assert drawn["warnings"] == []
    assert drawn["svg"].count("<path") > 5


@pytest.mark.parametrize("name", of_kind("visualization"))
def test_a_panel_without_lines_says_so(node: Node, name: str) -> None:
    """In a time in which nothing was asked."""
    spec = read_spec(of_kind("visualization")[name])
    long_ago = Period(*pd.to_datetime(["2001-01-01T00:00:00Z", "2001-01-02T00:00:00Z"]).to_pydatetime())
    assert "Nothing in this time range" in draw(spec, ask(node, spec, long_ago))["svg"]
    nowhere: dict[str, Any] = {"took": 0, "hits": {"total": {"value": 0}, "hits": []}}  # no data stream has come to be
    assert "Nothing in this time range" in draw(spec, [nowhere])["svg"]


def test_tables_show_the_lines_that_they_promise(node: Node, period: Period, shipped: FlightLogs) -> None:
    """The slowest first; the strange by unknown categories and extreme predictions; what went wrong."""
    lines = predictions(shipped)
    first = lines[lines["treeserve.request.instance"] == 0]
    strange = lines["treeserve.prediction"].pipe(lambda p: (p < 0.01) | (p > 0.99))
    if "treeserve.features.unknown" in lines:
        strange |= lines["treeserve.features.unknown"].notna()
    service = shipped.of("service")
    troubles = service["log.level"].isin(["warning", "error", "critical"])
    answers = {name: search(node, saved, period)["hits"] for name, saved in of_kind("search").items()}
    slowest = first["event.duration"].sort_values(ascending=False).head(500).tolist()
    assert [hit["_source"]["event.duration"] for hit in answers.pop("slowest")["hits"]] == slowest
    expected = {"strangest": int(strange.sum()), "troubles": int(troubles.sum())}
    assert {name: answer["total"]["value"] for name, answer in answers.items()} == expected
    assert min(expected.values()) > 0


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("requests", '"treeserve.request.instance": 0', '"treeserve.request.instances": 0'),
        ("drift", "treeserve.profile.reference", "treeserve.profile.references"),
        ("auc", "datum.negative / 2", "datum.negative"),
    ],
)
def test_a_panel_that_is_wrong_is_found_out(
    node: Node, period: Period, shipped: FlightLogs, outcomes: pd.DataFrame, name: str, right: str, wrong: str
) -> None:
    """Or the tests above would prove nothing."""
    text = json.dumps(read_spec(of_kind("visualization")[name]))
    assert right in text
    spec = json.loads(text.replace(right, wrong))
    drawn = draw(spec, ask(node, spec, period))
    with pytest.raises((AssertionError, IndexError)):  # noqa: PT012  one of three
        if name == "requests":
            test_requests_and_instances_are_counted_by_day_and_version(lambda _: drawn, shipped)
        elif name == "drift":
            test_drift_is_what_the_command_says(lambda _: drawn, shipped)
        else:
            test_auc_is_that_of_each_week(lambda _: drawn, outcomes)
