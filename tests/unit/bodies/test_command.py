"""``treeserve bodies`` as a process: what it writes, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.processes import PROJECT, clean_environment, free_port
from tests.unit.bodies.conftest import ANSWER
from tests.unit.registry.fake_server import FakeServer

COMMAND = [sys.executable, "-c", "import sys; from app.cli import main; sys.exit(main())", "bodies"]


def run(home: Path, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    """Run the command; what it writes is captured unless `stdout` leads it elsewhere."""
    environment = clean_environment(home, PYTHONPATH=str(PROJECT))
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, stdout=stdout, stderr=subprocess.PIPE, check=False, text=False
    )


def test_it_writes_a_body_a_line(server: FakeServer, tmp_path: Path) -> None:
    """As many as are asked for, each a whole JSON text, and nothing else."""
    ended = run(tmp_path, server.uri, "-n", "30", "--instances", "2")
    assert (ended.returncode, ended.stderr) == (0, b"")
    bodies = [json.loads(line) for line in ended.stdout.split(b"\n")[:-1]]
    assert len(bodies) == 30
    assert ended.stdout.endswith(b"}\n")
    assert {len(body["instances"]) for body in bodies} == {2}
    assert {tuple(body["instances"][1]) for body in bodies} == {("carrier", "gate", "temp")}


def test_it_writes_a_thousand_unless_told_otherwise(server: FakeServer, tmp_path: Path) -> None:
    assert run(tmp_path, server.uri).stdout.count(b"\n") == 1000


def test_a_failure_is_one_line_and_status_1(tmp_path: Path) -> None:
    """On standard error, with nothing on standard output."""
    ended = run(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr.startswith(b"treeserve bodies: error: http://127.0.0.1:")
    assert ended.stderr.count(b"\n") == 1


def test_too_few_bodies_are_told_after_them(server: FakeServer, tmp_path: Path) -> None:
    """Who reads the status learns that there are fewer than were asked for."""
    of_three = {"features": [{"name": "is", "type": "boolean", "required": False, "categories": None}]}
    server.body = json.dumps(ANSWER | {"signature": of_three}).encode()
    ended = run(tmp_path, server.uri, "-n", "4")
    assert (ended.returncode, ended.stdout.count(b"\n")) == (1, 3)
    assert b"after 3 bodies no other one was found" in ended.stderr


def test_a_reader_that_has_enough_ends_it_quietly(server: FakeServer, tmp_path: Path) -> None:
    """`treeserve bodies ... | head -1` says nothing else, however much is still to come."""
    environment = clean_environment(tmp_path, PYTHONPATH=str(PROJECT))
    command = [*COMMAND, server.uri, "-n", "1000000"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().endswith(b"}\n")
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_told(server: FakeServer, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = run(tmp_path, server.uri, stdout=full)
    assert (ended.returncode, ended.stderr) == (1, b"treeserve bodies: error: No space left on device\n")


def test_it_imports_nothing_that_only_serving_needs(server: FakeServer, tmp_path: Path) -> None:
    """It begins to write in a fraction of a second."""
    code = "import sys; from app.cli import main; main(sys.argv[1:]); print(*sorted(sys.modules), file=sys.stderr)"
    environment = clean_environment(tmp_path, PYTHONPATH=str(PROJECT))
    command = [sys.executable, "-c", code, "bodies", server.uri, "-n", "1"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split())
    assert "app.bodies.drawing" in loaded
    assert not loaded & {"xgboost", "mlflow", "fastapi", "starlette", "uvicorn", "pandas", "requests", "yaml"}
