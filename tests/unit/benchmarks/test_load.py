"""What wrk prints is read rightly, and a load of which anything failed is no load."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.load import Load, LoadFailed, read_load, run_wrk
from tests.http_servers import serving

GOOD = (
    '{"duration_us": 2000000, "n_requests": 500, "p50_us": 90, "p99_us": 1250, '
    '"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0}'
)
PREAMBLE = "Running 2s test @ http://127.0.0.1:1/predict\n  500 requests in 2.00s, 1.00MB read\n"
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@dataclass
class Answerer:
    """A server that answers with the statuses in turn, the last one for ever, and keeps what it was sent."""

    statuses: list[int] = field(default_factory=lambda: [200])
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    port: int = 0

    def next_status(self, path: str, content_type: str, body: bytes) -> int:
        self.received.append((path, content_type, body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@pytest.fixture
def answerer() -> Iterator[Answerer]:
    found = Answerer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(found.next_status(self.path, self.headers["Content-Type"], body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_port
    with serving(server):
        yield found


@pytest.fixture
def bodies(tmp_path: Path) -> Path:
    file = tmp_path / "bodies.jsonl"
    file.write_text('{"a": 1}\n{"a": 22}\n{"a": "ü"}\n', encoding="utf-8")
    return file


def use_fake_wrk(monkeypatch: pytest.MonkeyPatch, folder: Path, output: str, status: int = 0) -> None:
    """Put a wrk on the path that prints something and does nothing."""
    (folder / "output").write_text(output)
    script = folder / "wrk"
    script.write_text(f'#!/bin/sh\n/bin/cat "{folder}/output"\nexit {status}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def run(answerer: Answerer, bodies: Path, seconds: float = 1) -> Load:
    return run_wrk(answerer.port, bodies, connections=2, seconds=seconds, core=None)


def test_the_summary_is_read_with_its_units() -> None:
    """Requests by the time that they took, microseconds as milliseconds."""
    assert read_load(PREAMBLE + GOOD + "\n") == Load(requests_per_s=250, p50_ms=0.09, p99_ms=1.25, n_failed=0)


@pytest.mark.parametrize("output", ["", "\n", PREAMBLE, "unable to connect to 127.0.0.1:1 Connection refused\n"])
def test_output_without_a_summary_is_no_load(output: str) -> None:
    """Nothing is made up."""
    assert read_load(output) is None


@pytest.mark.parametrize("error", ["connect", "read", "write", "status", "timeout"])
def test_a_single_failure_of_any_kind_is_told(
    error: str, answerer: Answerer, bodies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is quick at answering errors is not quick."""
    use_fake_wrk(monkeypatch, tmp_path, PREAMBLE + GOOD.replace(f'"{error}": 0', f'"{error}": 1'))
    with pytest.raises(LoadFailed, match="1 requests"):
        run(answerer, bodies)


@pytest.mark.parametrize(
    ("output", "status"),
    [(GOOD.replace('"n_requests": 500', '"n_requests": 0'), 0), (PREAMBLE, 0), (GOOD, 1), ("", 1)],
    ids=["nothing was answered", "no summary", "an exit status", "nothing"],
)
def test_a_run_that_came_to_nothing_is_told(
    output: str, status: int, answerer: Answerer, bodies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason."""
    use_fake_wrk(monkeypatch, tmp_path, output, status)
    with pytest.raises(LoadFailed):
        run(answerer, bodies)


def test_without_wrk_the_error_says_how_to_get_it(
    answerer: Answerer, bodies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not a Python package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LoadFailed, match="apt-get install wrk"):
        run(answerer, bodies)


@pytest.mark.parametrize("status", [307, 404])
def test_a_first_answer_other_than_200_is_told(
    status: int, answerer: Answerer, bodies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a redirect, which wrk would count as good."""
    use_fake_wrk(monkeypatch, tmp_path, GOOD)
    answerer.statuses = [status]
    with pytest.raises(HTTPException, match=str(status)):
        run(answerer, bodies)


@needs_wrk
def test_the_bodies_of_the_file_are_sent_in_turn(answerer: Answerer, bodies: Path) -> None:
    """Each as it stands in the file, to the path, with the content type."""
    load = run(answerer, bodies)
    assert load.requests_per_s > 1
    assert 0 < load.p50_ms <= load.p99_ms
    sent = [line.encode() for line in bodies.read_text(encoding="utf-8").splitlines()]
    assert {(path, kind) for path, kind, _ in answerer.received} == {("/predict", "application/json")}
    found = [body for _, _, body in answerer.received[1:]]  # without the one that was looked at first
    assert set(found) == set(sent)
    counts = [found.count(body) for body in sent]
    assert max(counts) - min(counts) <= 2


@needs_wrk
def test_an_error_in_the_middle_is_seen_by_wrk(answerer: Answerer, bodies: Path) -> None:
    """One 503 among many answers."""
    answerer.statuses = [200] * 10 + [503, 200]
    with pytest.raises(LoadFailed, match=r'1 requests.*"status": 1'):
        run(answerer, bodies)
