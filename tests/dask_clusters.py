"""A Dask cluster of processes: a scheduler and workers on loopback, each of which a test may kill."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from distributed import Client

from model.progress import Progress
from tests.processes import PROJECT, clean_environment, free_port, listens, run_process
from tests.services import wait

_STARTS_WITHIN_S = 60.0
_ENDS_WITHIN_S = 30.0


@dataclass
class RunningCluster:
    """
    A scheduler and its workers.

    Attributes
    ----------
    address : str
        The scheduler's.
    workers : dict of str to Popen
        By name; one that was killed stays in it.
    """

    address: str
    folder: Path
    environment: Mapping[str, str]
    options: tuple[str, ...]
    stack: ExitStack
    workers: dict[str, Popen[str]] = field(default_factory=dict)

    def start_worker(self, name: str, *options: str) -> Popen[str]:
        """Start one more, and do not wait for it."""
        command = [
            sys.executable, "-m", "dask", "worker", self.address, "--name", name, "--nthreads", "1", "--no-dashboard",
            "--host", "127.0.0.1", "--local-directory", str(self.folder / name), *self.options, *options,
        ]  # fmt: skip
        process = self.stack.enter_context(
            run_process(command, self.environment, self.folder / name, ends_within_s=_ENDS_WITHIN_S)
        )
        self.workers[name] = process
        return process

    @property
    def alive(self) -> list[str]:
        """The workers that have not ended, the oldest first."""
        return [name for name, process in self.workers.items() if process.poll() is None]

    def have(self, n_workers: int, client: Client) -> None:
        """Start workers or kill some, and wait until exactly so many are there."""
        for name in self.alive[n_workers:]:
            self.kill(name)
        for _ in range(n_workers - len(self.alive)):
            self.start_worker(f"worker-{len(self.workers)}")
        for _ in wait(_STARTS_WITHIN_S, every_s=0.05):
            there = {told["name"] for told in client.scheduler_info(n_workers=-1)["workers"].values()}
            if there == set(self.alive):
                return

    def kill(self, name: str) -> None:
        """End a worker as the system ends a process that takes too much memory."""
        self.workers[name].kill()
        self.workers[name].wait(_ENDS_WITHIN_S)


def end_process(item: object) -> None:
    """What a worker is given that it does not survive."""
    os._exit(1)


class Watching(Progress):
    """Does something once, when a step is said that begins in a certain way, and keeps what is said."""

    def __init__(self, beginning: str = "", do: object = None) -> None:
        super().__init__()
        self.said: list[str] = []
        self._beginning = beginning
        self._do = do

    def say(self, step: str) -> None:
        """Keep a step."""
        self.said.append(step)
        if callable(self._do) and step.strip().startswith(self._beginning):
            do, self._do = self._do, None
            do()


@contextmanager
def run_cluster(
    folder: Path,
    *names: str,
    options: tuple[str, ...] = ("--no-nanny",),
    variables: Mapping[str, str] | None = None,
    protocol: str = "tcp",
) -> Iterator[RunningCluster]:
    """Start a scheduler and workers of these names, and end all of them."""
    fixed = {"PYTHONPATH": str(PROJECT), "OMP_WAIT_POLICY": "passive"}
    environment = clean_environment(folder, **fixed, **(variables or {}))
    port = free_port()
    command = [
        sys.executable, "-m", "dask", "scheduler", "--protocol", protocol, "--host", "127.0.0.1", "--port", str(port),
        "--no-dashboard",
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(run_process(command, environment, folder / "scheduler", ends_within_s=_ENDS_WITHIN_S))
        cluster = RunningCluster(f"{protocol}://127.0.0.1:{port}", folder, environment, options, stack)
        for name in names:  # which wait for the scheduler themselves
            cluster.start_worker(name)
        for _ in wait(_STARTS_WITHIN_S, every_s=0.05):
            if listens(port):
                break
        yield cluster
