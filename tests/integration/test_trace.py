"""``python -m model trace``: from one line of the payload log to the request, model version, run, data and commit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.registry.registry import MlflowRegistry
from model.__main__ import main
from tests.integration.training import Trained
from tests.services import Service, run_service

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")  # of MLflow's own use of pandas


@pytest.fixture(scope="module")
def log(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the service has logged that served the trained example: two flights of one request, and what came of one."""
    folder = tmp_path_factory.mktemp("served")
    registry = MlflowRegistry(trained.uri, folder / "cache")
    with run_service(registry, folder / "payload.log") as service:
        ask(service, "another", "0" * 31 + "1")
        ask(service, "asked", TRACE)
        told = {"request_id": "asked", "instance": 1, "outcome": 1, "observed_at": "2025-11-29T17:30:00Z"}
        assert service.client.post("/feedback", json={"outcomes": [told]}).status_code == 202
        service.log_lines(5)
    return folder / "payload.log"


def ask(service: Service, request_id: str, trace_id: str) -> None:
    """Two flights, the second with fewer features."""
    (flight,) = service.client.get("/model").json()["input_example"]["instances"]
    headers = {"X-Request-ID": request_id, "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    second = flight | {"carrier": "DL", "temp": None}
    assert service.client.post("/predict", json={"instances": [flight, second]}, headers=headers).status_code == 200


def lines_of_request(log: Path) -> list[dict[str, Any]]:
    """What the log has of the request that the tests ask for."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line.get("http.request.id") == "asked"]


@pytest.mark.parametrize("id_", [TRACE, "asked"])
def test_a_line_leads_to_the_commit(
    id_: str, log: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the trace's id or the request's; every figure is the log's or the run's own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.uri)
    assert main(["trace", id_, str(log)]) == 0
    told = dict(re.findall(r"^(\w+) +(.*)$", capsys.readouterr().out, re.MULTILINE))
    line = next(
        line for line in map(json.loads, log.read_text().splitlines()) if line.get("http.request.id") == "asked"
    )
    run = trained.client.get_run(trained.registered.run_id)
    assert told["request"] == f"asked  (trace {TRACE})"
    assert told["asked"].startswith(line["@timestamp"])
    assert told["model"] == "flight-delay, version 1"
    assert told["run"] == f"{run.info.run_id} ({run.info.run_name})"
    assert told["data"] == f"{run.data.params['data']}, SHA-256 {run.data.params['data_sha256']}"
    assert told["commit"] == run.data.tags["git_commit"]
    assert "again" not in told  # this data set is no commit's


def test_each_instance_has_its_features_prediction_and_outcome(
    log: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the request that was asked for, and of no other."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.uri)
    assert main(["trace", "asked", str(log)]) == 0
    printed = capsys.readouterr().out
    first, second, outcome = lines_of_request(log)
    assert printed.count("instance  ") == 2
    for line in (first, second):
        assert f"predicted {line['treeserve.prediction']} by version 1" in printed
        for name, value in line["treeserve.features.number"].items():
            assert f"{name} {value}" in printed
    assert "carrier DL" in printed
    assert printed.count("came true: 1, observed 2025-11-29T17:30:00.000000Z") == 1
    assert outcome["event.dataset"] == "treeserve.feedback"
    assert "another" not in printed


def test_a_store_without_the_version_is_told(
    log: Path, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request is told all the same; and no store is made where there is none."""
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    for name, told in (("mlflow.db", "has no registered model"), ("misspelt.db", "there is no MLflow store at")):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / name}")
        assert main(["trace", "asked", str(log)]) == 0
        printed = capsys.readouterr().out
        assert "predicted" in printed
        assert told in printed
    assert not (tmp_path / "misspelt.db").exists()


def test_another_store_with_such_a_version_is_told(
    log: Path, tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its run is another one."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.uri)
    other = tmp_path / "log"
    other.write_text(log.read_text().replace(trained.registered.run_id, "f" * 32))
    assert main(["trace", "asked", str(other)]) == 0
    assert "MLFLOW_TRACKING_URI names another store" in capsys.readouterr().out


def test_an_id_of_feedback_leads_to_its_predictions(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever looks at what came true finds what was predicted."""
    (feedback,) = (line for line in map(json.loads, log.read_text().splitlines()) if "treeserve.outcome" in line)
    assert main(["trace", feedback["treeserve.feedback.request_id"], str(log)]) == 0
    assert "request   asked" in capsys.readouterr().out


def test_an_unknown_id_is_told(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what may be the reason."""
    assert main(["trace", "nothing", str(log)]) == 1
    assert "no prediction, and no feedback to one, has the trace or request id nothing" in capsys.readouterr().err


def test_a_line_in_parts_is_told_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output divides the lines of wide models."""
    common: dict[str, Any] = {
        "@timestamp": "2025-11-29T17:30:00.000000Z",
        "event.dataset": "treeserve.prediction",
        "event.duration": 31_000,
        "http.request.id": "wide",
        "treeserve.request.instance": 0,
        "treeserve.model.name": "folder",
        "treeserve.model.version": "v",
        "treeserve.parts": 2,
    }
    first = common | {"treeserve.part": 0, "treeserve.prediction": 0.5, "treeserve.features.number": {"a": 1}}
    second = common | {
        "treeserve.part": 1,
        "treeserve.features.number": {"b": 2},
        "treeserve.features.other": {"c": "x"},
    }
    other = {"http.request.id": "other", "treeserve.request.instance": 0, "trace.id": "both"}
    lines = [first, first | other, second | other, second]  # as those of two workers may stand
    lines = [line | {"trace.id": "both"} for line in lines]
    path = tmp_path / "log"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert main(["trace", "both", str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("instance  0: a 1, b 2, c x\n") == 2
    assert "not served from a registry" in printed
