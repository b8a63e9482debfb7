"""Processes that a test starts and ends, on loopback and a free port, with every wait bounded."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services import wait

PROJECT = Path(__file__).parents[1]
# Of the developer's own environment: nothing that would turn a test's server into another one.
_FOREIGN = (
    "TREESERVE_",
    "MLFLOW_",
    "OTEL_",
    "XDG_",
    "OMP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
)


def free_port() -> int:
    """
    A port of loopback that nobody listens on.

    It is below those that the system gives out itself, one of which could be a caller's of another test by the time
    that somebody listens.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311  nothing secret
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment without settings of treeserve's and MLflow's, with a home of its own, and `variables`.

    A service that is told to end does so at once: nothing balances its load.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    own = {"HOME": str(home), "NO_PROXY": "*", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": ""} | {
        "TREESERVE_SHUTDOWN_GRACE_S": "0"
    }
    return kept | own | variables


@contextmanager
def run_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    ends_within_s: float = 15.0,
    stdout: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """
    Start a process as the leader of a group of its own, and end it with all that it started.

    Its output goes to ``stdout`` and ``stderr`` in `folder`, where a test can read it at any time; standard output to
    the descriptor `stdout` instead if one is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stdout").open("w") as output, (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdout=output if stdout is None else stdout,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(ends_within_s)
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait(5)


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def wait_for_exit(process: subprocess.Popen[str], at_most_s: float) -> int:
    """The exit status, once the process has ended by itself."""
    for _ in wait(at_most_s):
        if (status := process.poll()) is not None:
            return status
    raise AssertionError
