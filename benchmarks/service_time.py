"""How the service does under load, beside bare uvicorn and a tutorial's server, each in one process on one core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.flights import Flights, run_bare, run_service, run_tutorial
from benchmarks.load import Load, run_wrk
from benchmarks.servers import Memory, Server, choose_cores, on_core
from benchmarks.turns import take_turns

BARE, SERVICE, SERVICE_NO_LOG, TUTORIAL = "bare uvicorn", "treeserve", "treeserve, log off", "tutorial FastAPI"
EMPTY_CACHE, SAMPLED = "treeserve, cache empty", "treeserve, 1 % logged"
_SINGLE_ROWS_ON = (BARE, SERVICE, SERVICE_NO_LOG, TUTORIAL)
_BATCHES_ON = (SERVICE, SAMPLED, SERVICE_NO_LOG, TUTORIAL)
ALONE, BESIDE_BATCHES = "alone", "beside batches"
CONNECTIONS = (1, 16, 64)
_AT_REST_S = 1.0

LoadTurns = list[dict[str, Load]]


@dataclass(frozen=True)
class Effort:
    """How often each is measured, and for how long each time."""

    n_turns: int = 5
    seconds: int = 3
    n_starts: int = 5


FULL, QUICK = Effort(), Effort(n_turns=3, seconds=1, n_starts=3)


@dataclass(frozen=True)
class Start:
    """How soon a server answered first, and what it held a second later."""

    seconds: float
    memory: Memory


@dataclass(frozen=True)
class Running:
    """
    The servers, all on one core; those that nobody asks do next to nothing.

    Attributes
    ----------
    flights : Flights
    servers : mapping of str to Server
    log : pathlib.Path
        The service's payload log.
    """

    flights: Flights
    servers: Mapping[str, Server]
    log: Path

    def measure_single(self, connections: int, effort: Effort) -> LoadTurns:
        """Load of single rows on each server, in turns."""
        return take_turns(
            {name: partial(self._load, name, self.flights.single, connections, effort) for name in _SINGLE_ROWS_ON},
            effort.n_turns,
        )

    def measure_batches(self, bodies: Path, effort: Effort) -> LoadTurns:
        """One batch after the other on each server that reads them, in turns."""
        longer = replace(effort, seconds=max(effort.seconds, 2))  # some take half a second for one
        return take_turns({name: partial(self._load, name, bodies, 1, longer) for name in _BATCHES_ON}, effort.n_turns)

    def measure_beside_batches(self, connections: int, effort: Effort) -> tuple[LoadTurns, float]:
        """Load of single rows on the service, alone and while another connection sends batches; how many a second."""
        batches_per_s: list[float] = []

        def load_beside_batches() -> Load:
            with ThreadPoolExecutor(1) as threads:
                longer = replace(effort, seconds=effort.seconds + 1)
                batches = threads.submit(self._load, SERVICE, self.flights.batches, 1, longer)
                time.sleep(0.5)
                load = self._load(SERVICE, self.flights.single, connections, effort)
                batches_per_s.append(batches.result().requests_per_s)
            return load

        measures: dict[str, Callable[[], Load]] = {
            ALONE: partial(self._load, SERVICE, self.flights.single, connections, effort),
            BESIDE_BATCHES: load_beside_batches,
        }
        return take_turns(measures, effort.n_turns), median(batches_per_s)

    def _load(self, name: str, bodies: Path, connections: int, effort: Effort) -> Load:
        port, core = self.servers[name].port, choose_cores()[1]
        load = run_wrk(port, bodies, connections=connections, seconds=effort.seconds, core=core)
        os.truncate(self.log, 0)  # it is opened for appending
        return load


@contextmanager
def run_all(flights: Flights) -> Iterator[Running]:
    """Run every server, warmed up."""
    core, _ = choose_cores()
    with TemporaryDirectory(dir=flights.folder) as folder, ExitStack() as running:
        log = Path(folder) / "payload.log"
        servers = {
            BARE: run_bare(flights, core),
            SERVICE: run_service(flights, str(log), core),
            SERVICE_NO_LOG: run_service(flights, "off", core),
            SAMPLED: run_service(flights, str(log), core, payload_sample_rate=0.01),
            TUTORIAL: run_tutorial(flights, core),
        }
        started = Running(flights, {name: running.enter_context(server) for name, server in servers.items()}, log)
        started.measure_single(CONNECTIONS[1], Effort(n_turns=1, seconds=1))
        yield started


def measure_starts(flights: Flights, effort: Effort) -> dict[str, Start]:
    """Start each server several times, in turns, and look at it a second after its first answer: medians."""
    core, load_core = choose_cores()
    with TemporaryDirectory(dir=flights.folder) as folder:
        log = str(Path(folder) / "payload.log")

        def start_with_an_empty_cache() -> Start:
            with TemporaryDirectory(dir=folder) as cache:
                return _look_at(run_service(flights, log, core, cache_dir=Path(cache)))

        measures: dict[str, Callable[[], Start]] = {
            BARE: lambda: _look_at(run_bare(flights, core)),
            SERVICE: lambda: _look_at(run_service(flights, log, core)),
            EMPTY_CACHE: start_with_an_empty_cache,
            TUTORIAL: lambda: _look_at(run_tutorial(flights, core)),
        }
        _look_at(run_service(flights, log, core))  # it may be the first to verify the model version
        with on_core(load_core):
            turns = take_turns(measures, effort.n_starts)
    return {name: _median_start([turn[name] for turn in turns]) for name in measures}


def _look_at(starting: AbstractContextManager[Server]) -> Start:
    with starting as server:
        time.sleep(_AT_REST_S)
        return Start(server.start_s, server.memory())


def _median_start(starts: Sequence[Start]) -> Start:
    return Start(
        median(start.seconds for start in starts),
        Memory(median(s.memory.rss_mb for s in starts), median(s.memory.pss_mb for s in starts)),
    )


def pick(turns: LoadTurns, figure: str) -> list[dict[str, float]]:
    """One figure of each load, by the name of its attribute."""
    return [{name: getattr(load, figure) for name, load in turn.items()} for turn in turns]
