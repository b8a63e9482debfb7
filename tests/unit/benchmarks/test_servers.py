"""A measured server answers rightly before it is measured, and is gone with all that it started afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.servers import ServerFailed, choose_cores, find_tree, on_core, post, run_server
from tests.processes import clean_environment, free_port

# Answers with what it is told to, and has a child of a session of its own, as some servers do.
CODE = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(sys.argv[2]))
        self.end_headers()
        self.wfile.write(sys.argv[3].encode())
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def is_right(port: int) -> bool:
    return post(port, "/", b"{}") == b"right"


def test_a_server_is_measured_with_all_its_processes_which_end_with_it(tmp_path: Path) -> None:
    """Also a process that is not in its group."""
    port = free_port()
    core = choose_cores()[0]
    command = [sys.executable, "-c", CODE, str(port), "200", "right"]
    with run_server(command, clean_environment(tmp_path), tmp_path, port, is_right, core=core) as server:
        tree = find_tree(server.process.pid)
        assert tree[0] == server.process.pid
        assert len(tree) == 2
        assert all(os.sched_getaffinity(pid) == {core} for pid in tree)
        assert 0 < server.start_s < 60
        memory = server.memory()
        assert 10 < memory.pss_mb <= memory.rss_mb < 1000
        assert server.cpu_seconds() > 0.005
    assert [pid for pid in tree if find_tree(pid)] == []


@pytest.mark.parametrize(("status", "answer"), [(500, "right"), (200, "wrong")])
def test_a_server_that_answers_wrongly_is_not_measured(tmp_path: Path, status: int, answer: str) -> None:
    """And nothing of it is left."""
    port = free_port()
    command = [sys.executable, "-c", CODE, str(port), str(status), answer]
    with (
        pytest.raises(ServerFailed, match="no right answer within 2"),
        run_server(command, clean_environment(tmp_path), tmp_path, port, is_right, core=None, starts_within_s=2),
    ):
        pytest.fail("it was taken for a right answer")
    with pytest.raises(ConnectionRefusedError):
        is_right(port)


def test_a_server_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    """At once, not when the time is up."""
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    with (
        pytest.raises(ServerFailed, match=r"(?s)status 1: .*no such model"),
        run_server(command, clean_environment(tmp_path), tmp_path, free_port(), is_right, core=None),
    ):
        pytest.fail("it was taken for a right answer")


def test_a_thread_stays_on_its_core_and_is_free_afterwards() -> None:
    """It is for the time of a measurement."""
    before = os.sched_getaffinity(0)
    core = choose_cores()[1]
    with on_core(core):
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before
