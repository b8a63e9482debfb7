"""A server as a process on a core of its own: how soon it answers, what it holds, and that it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.processes import run_process
from tests.services import wait

_PROC = Path("/proc")
_ASK_EVERY_S = 0.005
_KILLED_WITHIN_S = 5.0


class ServerFailed(Exception):
    """A server ended, or did not answer rightly in time; the text holds what it printed last."""


@dataclass(frozen=True)
class Memory:
    """
    Resident memory of processes together, in megabytes (10^6 bytes).

    Attributes
    ----------
    rss_mb : float
        A page that several share counts for each of them: too much where there are several.
    pss_mb : float
        A page that several share, other programs too, counts in parts.
    """

    rss_mb: float
    pss_mb: float


@dataclass(frozen=True)
class Server:
    """
    A server that answers.

    Attributes
    ----------
    process : subprocess.Popen
    port : int
    folder : pathlib.Path
        Where its output is, in ``stdout`` and ``stderr``.
    start_s : float
        From the start of the process to its first right answer.
    """

    process: subprocess.Popen[str]
    port: int
    folder: Path
    start_s: float

    def memory(self) -> Memory:
        """Resident memory of the process and all that it started."""
        rss_kib = pss_kib = 0
        for pid in find_tree(self.process.pid):
            with suppress(OSError):  # it has ended meanwhile
                rollup = (_PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii")
                sizes = {line.partition(":")[0]: line.split()[1] for line in rollup.splitlines()[1:]}
                rss_kib += int(sizes["Rss"])
                pss_kib += int(sizes["Pss"])
        return Memory(rss_kib * 1024 / 1e6, pss_kib * 1024 / 1e6)

    def cpu_seconds(self) -> float:
        """Processor time of all threads that the process and those it started have now."""
        return sum(map(cpu_seconds, find_tree(self.process.pid)))


@contextmanager
def run_server(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    port: int,
    is_right: Callable[[int], bool],
    *,
    core: int | None,
    starts_within_s: float = 60.0,
    ends_within_s: float = 20.0,
) -> Iterator[Server]:
    """
    Start a server, wait until it answers rightly, and end it with everything that it started.

    Parameters
    ----------
    command : sequence of str
    environment : mapping of str to str
        All of it; `tests.processes.clean_environment` makes one.
    folder : pathlib.Path
        Where it works and its output goes.
    port : int
        Where it will listen on loopback; `tests.processes.free_port` finds one.
    is_right : callable of int to bool
        Asks the server at a port, and says whether the answer is right. A connection or an answer that fails
        means: not yet.
    core : int or None
        Where it runs, all its threads and processes; None leaves it to the system.
    starts_within_s, ends_within_s : float

    Raises
    ------
    ServerFailed
        If it ended, or had no right answer in time.
    """
    pinned = list(command) if core is None else ["taskset", "--cpu-list", str(core), *command]
    begun = time.perf_counter()
    with run_process(pinned, environment, folder, ends_within_s=ends_within_s) as process:
        try:
            _await_answer(process, port, is_right, folder, starts_within_s)
            yield Server(process, port, folder, time.perf_counter() - begun)
        finally:
            # Some servers start processes in groups of their own, which outlive the group that `run_process` ends.
            stragglers = {pid: started for pid in find_tree(process.pid) if (started := _started_at(pid))}
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(ends_within_s)
            for pid, started in stragglers.items():
                _kill(pid, started)


def _kill(pid: int, started: str) -> None:
    """End the process that began at a time, if it still runs, and see it gone."""
    for _ in wait(_KILLED_WITHIN_S):
        if _started_at(pid) != started:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _await_answer(
    process: subprocess.Popen[str], port: int, is_right: Callable[[int], bool], folder: Path, at_most_s: float
) -> None:
    ends = time.monotonic() + at_most_s
    answer = "none"
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise ServerFailed(f"{process.args!r} ended with status {process.returncode}: {_last_words(folder)}")
        try:
            if is_right(port):
                return
            answer = "a wrong one"
        except (OSError, HTTPException) as error:
            answer = str(error)
        time.sleep(_ASK_EVERY_S)
    raise ServerFailed(
        f"{process.args!r} had no right answer within {at_most_s} s; the last was: {answer}\n{_last_words(folder)}"
    )


def _last_words(folder: Path) -> str:
    return "".join(
        (folder / name).read_text(encoding="utf-8", errors="replace")[-2000:] for name in ("stdout", "stderr")
    )


def post(port: int, path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """
    Send one request to a server of loopback.

    Raises
    ------
    OSError, http.client.HTTPException
        If there is no answer, or one of another status than 200.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:  # noqa: PLR2004
        raise HTTPException(f"status {response.status} of {path}: {answer[:500]!r}")
    return answer


def find_tree(pid: int) -> list[int]:
    """A process, if it runs, and those that it, or one of them, started."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.glob("[0-9]*"):
        if stat := _read_stat(int(folder.name)):
            children.setdefault(int(stat[1]), []).append(int(folder.name))
    found = [pid] if _read_stat(pid) else []
    for parent in found:
        found += children.get(parent, [])
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time that all threads of a process have had."""
    threads = (_PROC / str(pid) / "task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _started_at(pid: int) -> str | None:
    stat = _read_stat(pid)
    return stat[19] if stat else None


def _read_stat(pid: int) -> list[str]:
    """State, parent and so on, from the third field of ``/proc/PID/stat`` on; empty if no such process runs."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
    return [] if stat[0] == "Z" else stat


def choose_cores() -> tuple[int, int]:
    """A core for the server and another for the load, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep this thread on one core: it makes times steadier."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
