"""The commands that read logs say the same of Elasticsearch's as of files, and outcomes are written into it once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.__main__ import main
from model.observed.period import ALWAYS, Period
from tests.integration.elastic.node import DATASETS, Node

pytestmark = pytest.mark.elastic

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
N_REQUESTS, N_INSTANCES = 700, 2  # more than one question's worth of instances
OUTCOMES = "logs-treeserve.outcome-default"


def line(dataset: str, hours: float, **fields: Any) -> dict[str, Any]:
    """A line so many hours later."""
    at = (START + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    named = {f"treeserve.{name.replace('__', '.')}": value for name, value in fields.items()}
    return {"@timestamp": at, "event.dataset": f"treeserve.{dataset}", **named}


def predictions() -> Iterator[dict[str, Any]]:
    """Two instances a request, each in two lines, of two versions and two weeks; a challenger beside one of them."""
    drawn = np.random.default_rng(3)
    for request in range(N_REQUESTS):
        for instance in range(N_INSTANCES):
            told = line("prediction", request / 2, request__instance=instance, parts=2)
            told |= {"http.request.id": f"r{request}", "trace.id": f"{request:032x}", "event.duration": 31_000}
            told |= {"treeserve.model.name": "m", "treeserve.model.version": "78"[request % 2]}
            first: dict[str, Any] = {"treeserve.part": 0, "treeserve.prediction": float(np.float32(drawn.random()))}
            if request % 2:
                first |= {"treeserve.challenger.version": "9", "treeserve.challenger.prediction": drawn.random()}
            yield told | first | {"treeserve.features.number": {"hour": request % 24}}
            yield told | {"treeserve.part": 1, "treeserve.features.category": {"carrier": "UA"}}


def feedback() -> Iterator[dict[str, Any]]:
    """Of every instance, of some twice, of some in contradiction, and of one that was never predicted."""
    drawn = np.random.default_rng(4)
    for request in range(N_REQUESTS + 1):
        for instance in range(N_INSTANCES):
            outcome = int(drawn.integers(2))
            told = {"http.request.id": f"r{request}"}
            yield told | outcome_line(request, instance, outcome, 400)
            if request % 10 == 0:
                yield told | outcome_line(request, instance, outcome if request % 20 else 1 - outcome, 401)


def outcome_line(request: int, instance: int, outcome: int, hours: float) -> dict[str, Any]:
    """What `POST /feedback` writes."""
    at = (START + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    told = line("feedback", hours, request__instance=instance, outcome=outcome, observed_at=at)
    return told | {"http.request.id": f"r{request}"}


def profiles() -> Iterator[dict[str, Any]]:
    """What three processes have counted in several minutes."""
    drawn = np.random.default_rng(5)
    shares = {"00 < 1": 0.0, "01 [1, 2)": 0.375, "02 [2, 3]": 0.5, "(missing)": 0.125}
    for minute in range(30):
        for kind, name in (("feature", "hour"), ("feature", "temp"), ("prediction", "hour")):
            for label, share in shares.items():
                told = {"kind": kind, "name": name, "bin": label, "count": int(drawn.integers(50)), "reference": share}
                fields = {f"profile__{field}": value for field, value in told.items()} | {"model__name": "m"}
                yield line("profile", minute / 60, model__version="7", **fields)


@pytest.fixture
def log(node: Node, tmp_path: Path) -> Path:
    """A file with all of that; Elasticsearch has the same, and nothing else."""
    path = tmp_path / "log"
    lines = [*predictions(), *feedback(), *profiles()]
    path.write_text("".join(f"{json.dumps(told)}\n" for told in lines))
    for dataset in DATASETS:
        node.empty(f"logs-treeserve.{dataset}-default")
    for dataset in ("prediction", "feedback", "profile"):
        send(node, (told for told in lines if told["event.dataset"] == f"treeserve.{dataset}"))
    return path


def send(node: Node, lines: Iterable[dict[str, Any]]) -> None:
    """Index lines."""
    told = list(lines)
    results = node.index(f"logs-{told[0]['event.dataset']}-default", *told)
    assert {result["status"] for result in results} == {201}, results[0]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints."""
    assert main(arguments) == 0
    return capsys.readouterr().out


def outcomes(node: Node) -> list[dict[str, Any]]:
    """The joined lines that are there."""
    found = node.search(OUTCOMES, {"size": 10_000, "sort": ["@timestamp", "treeserve.request.instance"]})
    return [hit["_source"] for hit in found["hits"]["hits"]]


def test_outcomes_are_those_of_the_files_and_written_once(
    node: Node, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often the command is run; with the same figures."""
    output = tmp_path / "outcomes.log"
    of_files = json.loads(run(capsys, "outcomes", str(log), "--json", "--output", str(output)))
    first = json.loads(run(capsys, "outcomes", "--elasticsearch", node.url, "--json"))
    n_joined = N_REQUESTS * N_INSTANCES
    assert of_files["outcomes"] == {
        "joined": n_joined,
        "without_prediction": N_INSTANCES,
        "repeated": 70,
        "contradicting": 72,
        "before_prediction": 0,
    }
    assert first["outcomes"] == of_files["outcomes"] | {"new": n_joined, "changed": 0}
    assert first["figures"] == of_files["figures"]
    written = outcomes(node)
    assert written == [json.loads(told) for told in output.read_text().splitlines()]
    again = json.loads(run(capsys, "outcomes", "--elasticsearch", node.url, "--json"))
    assert (again["outcomes"]["new"], again["outcomes"]["changed"]) == (0, 0)
    assert outcomes(node) == written


def test_what_is_contradicted_later_is_replaced(node: Node, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By what was observed last; a run that sees the older one alone changes nothing."""
    del log
    run(capsys, "outcomes", "--elasticsearch", node.url)
    before = outcomes(node)
    assert before[1]["treeserve.request.instance"] == 1
    changed = 1 - before[1]["treeserve.outcome"]
    send(node, [outcome_line(0, 1, changed, 500)])
    later = (START + timedelta(hours=499)).isoformat()
    told = json.loads(run(capsys, "outcomes", "--elasticsearch", node.url, "--since", later, "--json"))
    assert (told["outcomes"]["joined"], told["outcomes"]["new"], told["outcomes"]["changed"]) == (1, 0, 1)
    after = outcomes(node)
    assert after[1]["treeserve.outcome"] == changed
    assert [*after[:1], *after[2:]] == [*before[:1], *before[2:]]
    told = json.loads(run(capsys, "outcomes", "--elasticsearch", node.url, "--until", later, "--json"))
    assert (told["outcomes"]["new"], told["outcomes"]["changed"]) == (0, 0)
    assert outcomes(node) == after


def test_drift_is_that_of_the_files(node: Node, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Added up by Elasticsearch, to the last count; of a part of the time too."""
    for period in ([], ["--since", (START + timedelta(minutes=9.5)).isoformat()]):
        of_files = json.loads(run(capsys, "drift", str(log), "--json", *period))
        found = json.loads(run(capsys, "drift", "--elasticsearch", node.url, "--json", *period))
        assert found["version"] == of_files["version"]
        assert len(found["columns"]) == 3
        for here, there in zip(found["columns"], of_files["columns"], strict=True):
            assert (here["kind"], here["name"], here["n_observed"]) == (
                there["kind"],
                there["name"],
                there["n_observed"],
            )
            assert here["psi"] == pytest.approx(there["psi"], rel=1e-12)
            for shares in ("reference", "observed"):
                assert dict(zip(here["bins"], here[shares], strict=True)) == dict(
                    zip(there["bins"], there[shares], strict=True)
                )


def test_a_trace_leads_to_the_same_request(node: Node, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its features from both lines, and what came true."""
    of_files = run(capsys, "trace", f"{21:032x}", str(log))
    assert of_files.count("hour 21, carrier UA") == 2
    assert of_files.count("came true") == 2
    assert run(capsys, "trace", f"{21:032x}", "--elasticsearch", node.url) == of_files


def test_a_challenger_is_judged_alike_by_elasticsearch_and_by_files(
    log: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same outcomes, to the last bit; and a period without any has nothing to say."""
    from model.observed.logs import LogFiles, Logs, LogStreams
    from model.retraining import triggers
    from model.retraining.report import Report
    from model.retraining.shadowing import judge_shadow
    from model.rules import read_gate_rules, read_retraining_rules
    from model.training.binary import BinaryClassification

    monkeypatch.setattr(triggers, "MODEL_NAME", "m")

    def judge(logs: Logs, period: Period) -> tuple[str, Report]:
        report = Report("8", "9")
        rules, gate = replace(read_retraining_rules(), least_rows=N_REQUESTS), read_gate_rules()
        fate, _ = judge_shadow(BinaryClassification(), "8", "9", logs, period, rules, gate, report)
        return fate, report

    by_files, by_elasticsearch = judge(LogFiles([str(log)]), ALWAYS), judge(LogStreams(node.url), ALWAYS)
    assert by_files == by_elasticsearch
    assert by_files[1].figures["shadow_outcomes"] == N_REQUESTS // 2 * N_INSTANCES
    assert judge(LogStreams(node.url), Period(until=START)) == ("wait", Report("8", "9", [by_none(0)]))


def by_none(n_outcomes: int) -> tuple[str, str]:
    """What a report says where there are too few outcomes."""
    return "shadow", f"{n_outcomes:,} outcomes of both; {N_REQUESTS:,} are waited for"
