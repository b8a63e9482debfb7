"""``treeserve serve`` that cannot start, or is told to end while it does: one reason, an exit status, and soon."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import TREESERVE
from tests.e2e.servers import SOON_S, Server, Start
from tests.processes import clean_environment, free_port, run_process, wait_for_exit
from tests.services import wait

FAILURES: dict[str, tuple[dict[str, str], int, str]] = {
    "a wrong number": ({"TREESERVE_MAX_INSTANCES": "many"}, 2, "TREESERVE_MAX_INSTANCES='many'"),
    "a wrong word": ({"TREESERVE_UNKNOWN_CATEGORY": "maybe"}, 2, "TREESERVE_UNKNOWN_CATEGORY='maybe'"),
    "a Service's variable": ({"TREESERVE_PORT": "tcp://10.0.0.1:80"}, 2, "enableServiceLinks: false"),
    "a log that cannot be written": ({"TREESERVE_PAYLOAD_LOG": "/none/payload.log"}, 1, "/none/payload.log"),
    "no such folder": ({"TREESERVE_MODEL_URI": "/none/model"}, 1, "/none/model is not a folder with an MLmodel"),
    "no such store": ({"TREESERVE_MODEL_URI": "models:/flight-delay/7"}, 1, "there is no MLflow store at"),
    "no such URI": ({"TREESERVE_MODEL_URI": "models:/flight-delay"}, 1, "does not name a model version"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_start_that_cannot_succeed_ends_soon_with_one_reason(start: Start, name: str) -> None:
    """The last thing on standard output is one line that says what is wrong; the status is not 0."""
    variables, status, reason = FAILURES[name]
    server = start(**variables)
    assert wait_for_exit(server.process, SOON_S) == status
    grave = [line for line in server.lines() if line["log.level"] in ("critical", "error")]
    assert len(grave) == 1
    assert reason in grave[0]["message"]
    assert "error.stack_trace" not in grave[0]
    assert server.errors == ""


@pytest.mark.parametrize("uri", ["models:/flight-delay@champion", "models:/flight-delay/7"])
def test_an_unreachable_registry_is_waited_for(start: Start, uri: str) -> None:
    """Nobody listens there yet: the process stays, not ready, and says why once; whoever asks is told too."""
    port = free_port()
    server = start(TREESERVE_MODEL_URI=uri, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}")
    for _ in wait(30, every_s=0.05):
        grave = [line for line in server.lines() if line["log.level"] == "critical"]
        if grave:
            break
    for _ in wait(30, every_s=0.05):
        if 'treeserve_registry_checks_total{outcome="failed"} 3.0' in server.get("/metrics").text:
            break
    for text in (grave[0]["message"], server.get("/readyz").json()["detail"]):
        assert f"http://127.0.0.1:{port}" in text
        assert "check MLFLOW_TRACKING_URI" in text
    assert len([line for line in server.lines() if line["log.level"] == "critical"]) == 1
    assert server.end() == 0


def test_a_port_in_use_ends_the_start(start: Start) -> None:
    """Two services on one port are told at once; the first goes on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = start(TREESERVE_PORT=str(port))
        assert wait_for_exit(server.process, SOON_S) == 1
    (line,) = [line for line in server.lines() if line["log.level"] in ("critical", "error")]
    assert f"nothing can listen on 127.0.0.1 port {port} (Address already in use)" in line["message"]
    assert "TREESERVE_PORT" in line["message"]
    assert server.errors == ""


def test_a_misspelt_setting_is_told_and_the_service_starts(start: Start) -> None:
    """A variable that is no setting is a warning with the one perhaps meant, for it may be Kubernetes's."""
    server = start(TREESERVE_MAX_INSTANCE="5")
    server.wait_until_ready()
    (line,) = [line for line in server.lines() if line["log.level"] == "warning"]
    assert "did you mean TREESERVE_MAX_INSTANCES?" in line["message"]
    assert server.end() == 0


def test_a_signal_while_the_model_is_being_fetched_ends_it(start: Start) -> None:
    """A registry that never answers does not hold up the end."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = start(
            TREESERVE_MODEL_URI="models:/flight-delay@champion",
            MLFLOW_TRACKING_URI=f"http://127.0.0.1:{silent.getsockname()[1]}",
        )
        for _ in wait(30, every_s=0.05):
            assert server.process.poll() is None, server.output
            if any("listening on" in line["message"] for line in server.lines()):
                break
        assert server.get("/readyz").status_code == 503
        assert server.get("/livez").status_code == 200
        assert server.end() == 0
        assert server.errors == ""


@pytest.mark.parametrize(
    ("closed", "has_output"), [("<&-", True), (">&-", False), ("2>&-", True), ("<&- >&- 2>&-", False)]
)
def test_a_process_started_without_standard_streams_serves_and_ends_in_order(
    model_folder: Path, tmp_path: Path, closed: str, has_output: bool
) -> None:
    """Some supervisors close them. Their numbers go to nothing that would get log lines, or be closed for them."""
    port, payload = free_port(), tmp_path / "payload.log"
    environment = clean_environment(
        tmp_path,
        TREESERVE_MODEL_URI=str(model_folder),
        TREESERVE_CACHE_DIR=str(tmp_path / "cache"),
        TREESERVE_PORT=str(port),
        TREESERVE_PAYLOAD_LOG=str(payload),
    )
    with run_process(["sh", "-c", f"exec {TREESERVE} serve {closed}"], environment, tmp_path / "output") as process:
        server = Server(process, str(port), tmp_path / "output")
        server.wait_until_ready()
        assert len(server.predict({"carrier": "UA", "hour": 17})) == 1
        assert server.end() == 0
        assert server.errors == ""
        assert bool(server.output) is has_output
    assert len(payload.read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system does not say what a process has mapped")
def test_no_start_loads_xgboost_where_the_kernel_answers(start: Start) -> None:
    """Nor does the first, for which another process does; both answer the same."""
    answers, has_xgboost = [], []
    for _ in range(2):
        server = start()
        server.wait_until_ready()
        answers.append(server.predict({"carrier": "UA", "hour": 17}, {"carrier": "DL", "hour": 5, "temp": 11.5}))
        has_xgboost.append("libxgboost" in Path(f"/proc/{server.process.pid}/maps").read_text())
        assert server.end() == 0
    assert has_xgboost == [False, False]
    assert answers[0] == answers[1]
