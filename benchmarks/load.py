"""Load from wrk: requests a second and how long they took, with the bodies of a file in turn."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import post

_SCRIPT = Path(__file__).with_name("bodies.lua")
_ERRORS = ("connect", "read", "write", "status", "timeout")
_TIMEOUT_S = 20


class LoadFailed(Exception):
    """The load could not be run, or a request of it was not answered as it should be."""


@dataclass(frozen=True)
class Load:
    """
    What came of a run of wrk.

    Attributes
    ----------
    requests_per_s : float
    p50_ms, p99_ms : float
        Of the times from a request to its whole answer, as wrk tells them.
    n_failed : int
        Answers with a status of 400 or more, connections that broke, and requests that had no answer in time.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    n_failed: int


def run_wrk(
    port: int,
    bodies: Path,
    *,
    path: str = "/predict",
    connections: int,
    seconds: float,
    core: int | None,
    content_type: str = "application/json",
) -> Load:
    """
    Let wrk post to a server of loopback, from one thread.

    Parameters
    ----------
    port : int
    bodies : pathlib.Path
        One body a line; they are sent in turn.
    path : str
    connections : int
        Each sends its next request when the last one is answered.
    seconds : float
        Rounded up: wrk knows whole seconds.
    core : int or None
        Where wrk runs; None leaves it to the system.
    content_type : str

    Raises
    ------
    LoadFailed
        If wrk is not installed, or any request failed.
    """
    wrk = find_wrk()
    # wrk counts an answer of 3xx as a good one, so one request is looked at first.
    with bodies.open("rb") as lines:
        post(port, path, next(lines).rstrip(b"\n"), content_type)
    given = [f"--connections={connections}", "--threads=1", f"--duration={math.ceil(seconds)}s"]
    url = f"http://127.0.0.1:{port}{path}"
    command = [wrk, *given, f"--timeout={_TIMEOUT_S}s", f"--script={_SCRIPT}", url, "--", str(bodies), content_type]
    if core is not None:
        command = ["taskset", "--cpu-list", str(core), *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 2 * _TIMEOUT_S, check=False)
    load = read_load(done.stdout)
    if done.returncode or load is None:
        raise LoadFailed(f"wrk ended with status {done.returncode}: {done.stderr or done.stdout}")
    if load.n_failed or not load.requests_per_s:
        raise LoadFailed(f"{load.n_failed} requests to {url} failed: {done.stdout.splitlines()[-1]}")
    return load


def find_wrk() -> str:
    """
    Where wrk is.

    Raises
    ------
    LoadFailed
        If it is not installed.
    """
    if wrk := shutil.which("wrk"):
        return wrk
    raise LoadFailed("wrk, which makes the load, is not installed; on Debian and Ubuntu: apt-get install wrk")


def read_load(output: str) -> Load | None:
    """Read what ``bodies.lua`` printed, in the last line of wrk's output; None if it is not there."""
    try:
        found = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return Load(
        requests_per_s=found["n_requests"] / (found["duration_us"] / 1e6),
        p50_ms=found["p50_us"] / 1e3,
        p99_ms=found["p99_us"] / 1e3,
        n_failed=sum(found[error] for error in _ERRORS),
    )
