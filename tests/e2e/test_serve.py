"""``treeserve serve`` as operators run it: a process, a socket, signals, standard output, an exit status."""

from __future__ import annotations

import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
import xgboost

from tests.boosters import ModelFolderBuilder, make_table, to_instances
from tests.e2e.servers import SOON_S, Start
from tests.processes import listens, wait_for_exit
from tests.services import wait

GOOD = {"carrier": "UA", "hour": 17, "temp": 39.0, "wind": 8.5}


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
        with socket.create_connection(("127.0.0.1", int(server.port)), timeout=SOON_S) as caller:
            caller.sendall(b"no HTTP at all\r\n\r\n")  # an event of the service's log
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
        if found := [line["message"] for line in server.lines() if "listening on http" in line["message"]]:
            break
    server.port = found[0].split("127.0.0.1:")[1].split(";")[0]
    server.wait_until_ready()
    assert len(server.predict(GOOD)) == 1
    assert server.end() == 0
