"""``treeserve serve`` as operators run it: a process, a socket, signals, standard output, an exit status."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
import xgboost

from tests.boosters import ModelFolderBuilder, make_model, make_table, to_instances
from tests.e2e.servers import SOON_S, Server, Start
from tests.processes import clean_environment, free_port, listens, run_process, wait_for_exit
from tests.services import wait

TREESERVE = str(Path(sys.executable).with_name("treeserve"))
GOOD = {"carrier": "UA", "hour": 17, "temp": 39.0, "wind": 8.5}


@pytest.fixture(scope="module")
def champion() -> ModelFolderBuilder:
    """A category, an integer and two numbers."""
    return make_model()


@pytest.fixture(scope="module")
def model_folder(champion: ModelFolderBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The champion's files."""
    return champion.write(tmp_path_factory.mktemp("champion") / "model")


@pytest.fixture
def start(model_folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts servers, which end with the test at the latest."""
    with ExitStack() as running:

        def run(stdout: int | None = None, /, **variables: str) -> Server:
            given = {
                "TREESERVE_MODEL_URI": str(model_folder),
                "TREESERVE_CACHE_DIR": str(tmp_path / "cache"),
                "TREESERVE_PORT": str(free_port()),
                "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'none.db'}",
                **variables,
            }
            environment = clean_environment(tmp_path, **given)
            process = running.enter_context(
                run_process([TREESERVE, "serve"], environment, tmp_path / "output", stdout=stdout)
            )
            return Server(process, given["TREESERVE_PORT"], tmp_path / "output")

        yield run


def test_it_serves_over_a_socket_and_ends_in_order(start: Start, champion: ModelFolderBuilder, tmp_path: Path) -> None:
    """Ready, right answers to concurrent callers, and at SIGTERM status 0 with every payload line written."""
    table = make_table(n_rows=200, seed=3)
    expected = champion.booster.predict(xgboost.DMatrix(table, enable_categorical=True)).tolist()
    instances = to_instances(table)
    server = start(TREESERVE_PAYLOAD_LOG=str(tmp_path / "payload.log"))
    server.wait_until_ready()

    with ThreadPoolExecutor(8) as callers:
        tens = list(callers.map(lambda at: server.predict(*instances[at : at + 10]), range(0, 200, 10)))
    assert [prediction for ten in tens for prediction in ten] == pytest.approx(expected, abs=1e-9)
    assert server.get("/livez").json() == {"live": True}
    assert "\nprocess_resident_memory_bytes " in server.get("/metrics").text

    assert server.end() == 0
    payload = [json.loads(line) for line in (tmp_path / "payload.log").read_text(encoding="utf-8").splitlines()]
    assert len(payload) == 200
    assert {line["event.dataset"] for line in payload} == {"treeserve.prediction"}
    assert [line["event.dataset"] for line in server.lines()].count("treeserve.service") == len(server.lines()) > 1
    assert server.errors == ""
    with pytest.raises(httpx2.ConnectError):
        server.get("/livez")


def test_standard_output_is_ecs_lines_and_nothing_else(start: Start) -> None:
    """Service events and payload lines share it; a shipper parses each, and none is lost at SIGINT."""
    server = start()
    server.wait_until_ready()
    with ThreadPoolExecutor(8) as callers:
        for predictions in callers.map(lambda n: server.predict(*[GOOD] * n), [1, 40, 500, 3] * 10):
            assert set(predictions) == {predictions[0]}
    assert server.get("/nothing").status_code == 404
    assert server.end(signal.SIGINT) == 0
    assert len(server.lines("treeserve.prediction")) == 544 * 10
    assert len(server.lines("treeserve.service")) >= 3
    assert len(server.lines("treeserve.service")) + 5440 == len(server.lines())
    assert server.errors == ""


def test_a_request_in_flight_is_answered_when_the_process_is_told_to_end(start: Start) -> None:
    """A pod that is replaced loses nobody's answer: the body that has begun is read and predicted."""
    server = start()
    server.wait_until_ready()
    body = json.dumps({"instances": [GOOD]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", int(server.port)), timeout=SOON_S) as caller:
        caller.sendall(head + body[:10])
        for _ in wait(10):
            if "treeserve_requests_in_flight 2.0" in server.get("/metrics").text:
                break
        server.process.send_signal(signal.SIGTERM)
        for _ in wait(10):
            if not listens(int(server.port)):
                break
        caller.sendall(body[10:])
        answer = b"".join(iter(lambda: caller.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"predictions":[' in answer
    assert wait_for_exit(server.process, SOON_S) == 0
    assert len(server.lines("treeserve.prediction")) == 1


def test_a_standard_output_that_nobody_reads_holds_nothing_up(start: Start) -> None:
    """A shipper that hangs costs lines, which are counted, but no answer, no probe and not the end."""
    reader, writer = os.pipe()
    try:
        server = start(writer)
        server.wait_until_ready()
        for _ in range(3):
            assert len(server.predict(*[GOOD] * 1000)) == 1000  # far more than the pipe takes
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", int(server.port)), timeout=SOON_S) as caller:
                caller.sendall(b"no HTTP at all\r\n\r\n")  # each is an event of the service's log
                assert caller.recv(100).startswith(b"HTTP/1.1 400")
        assert server.get("/livez").status_code == 200
        assert "treeserve_payload_written_total 0.0" in server.get("/metrics").text
        assert server.end() == 0
        assert server.errors == ""
    finally:
        os.close(reader)
        os.close(writer)


def test_a_free_port_is_taken_and_said(start: Start) -> None:
    """With port 0 the log says which one it became."""
    server = start(TREESERVE_PORT="0")
    for _ in wait(30, every_s=0.05):
        assert server.process.poll() is None, server.output
        if found := [line["message"] for line in server.lines() if "running on http" in line["message"]]:
            break
    server.port = found[0].split("127.0.0.1:")[1].split()[0]
    server.wait_until_ready()
    assert len(server.predict(GOOD)) == 1
    assert server.end() == 0


FAILURES: dict[str, tuple[dict[str, str], int, str]] = {
    "a wrong number": ({"TREESERVE_MAX_INSTANCES": "many"}, 2, "TREESERVE_MAX_INSTANCES='many'"),
    "a wrong word": ({"TREESERVE_UNKNOWN_CATEGORY": "maybe"}, 2, "TREESERVE_UNKNOWN_CATEGORY='maybe'"),
    "a Service's variable": ({"TREESERVE_PORT": "tcp://10.0.0.1:80"}, 2, "enableServiceLinks: false"),
    "a log that cannot be written": ({"TREESERVE_PAYLOAD_LOG": "/none/payload.log"}, 1, "/none/payload.log"),
    "no such folder": ({"TREESERVE_MODEL_URI": "/none/model"}, 1, "/none/model is not a folder with an MLmodel"),
    "no such store": ({"TREESERVE_MODEL_URI": "models:/flight-delay@champion"}, 1, "there is no MLflow store at"),
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


def test_an_unreachable_registry_ends_the_start_soon(start: Start) -> None:
    """Nobody listens there: no retries for minutes, but an end, which an orchestrator sees."""
    port = free_port()
    started = time.monotonic()
    server = start(TREESERVE_MODEL_URI="models:/flight-delay@champion", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}")
    assert wait_for_exit(server.process, SOON_S) == 1
    assert time.monotonic() - started < SOON_S
    (line,) = [line for line in server.lines() if line["log.level"] == "critical"]
    assert f"http://127.0.0.1:{port}" in line["message"]
    assert "check MLFLOW_TRACKING_URI" in line["message"]


def test_a_port_in_use_ends_the_start(start: Start) -> None:
    """Two services on one port are told at once; the first goes on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = start(TREESERVE_PORT=str(port))
        assert wait_for_exit(server.process, SOON_S) > 0
    (line,) = [line for line in server.lines() if line["log.level"] in ("critical", "error")]
    assert "address already in use" in line["message"]
    assert str(port) in line["message"]
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
            if any("running on" in line["message"] for line in server.lines()):
                break
        assert server.get("/readyz").status_code == 503
        assert server.get("/livez").status_code == 200
        assert server.end() == 0
        assert server.errors == ""
