"""What requests notice of a swap: the 99th percentile while a version is verified, and while versions take turns."""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.load import run_wrk
from benchmarks.report import FOLDER, describe_machine, format_number, format_table
from benchmarks.servers import choose_cores, run_server
from tests.processes import PROJECT, clean_environment, free_port
from tests.services import wait

_CONNECTIONS = 16
_SWAP_EVERY_S = 0.2


@dataclass(frozen=True)
class Percentiles:
    """
    The 99th percentile with and without swaps, in milliseconds, each the median of several turns.

    Attributes
    ----------
    without, during : float
    """

    without: float
    during: float

    @property
    def ratio(self) -> float:
        """How many times as long requests take during a swap."""
        return self.during / self.without


class Models:
    """
    Two models in folders, and a link that names one of them, which a service serves.

    Attributes
    ----------
    link : pathlib.Path
    """

    def __init__(self, folder: Path, model_folder: Path) -> None:
        folder.mkdir(parents=True)
        self.link = folder / "served"
        self._folders = [Path(shutil.copytree(model_folder, folder / name)) for name in ("a", "b")]
        self._at = 0
        for model in self._folders:
            self._renew(model)
        self._point()

    def swap(self, *, is_new: bool) -> None:
        """Let the link name the other model; one that nobody has verified yet if `is_new`."""
        self._at = 1 - self._at
        if is_new:
            self._renew(self._folders[self._at])
        self._point()

    def _renew(self, model: Path) -> None:
        file = model / "MLmodel"  # by which a folder's version is told
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("# ")]
        file.write_text("\n".join([*lines, f"# {uuid.uuid4()}"]) + "\n", encoding="utf-8")

    def _point(self) -> None:
        aside = self.link.with_name("aside")
        aside.symlink_to(self._folders[self._at])
        os.replace(aside, self.link)


def measure_verifying(port: int, models: Models, bodies: Path, n_turns: int, seconds: float) -> Percentiles:
    """While another process verifies a version that nobody has verified yet."""

    @contextmanager
    def verifying() -> Iterator[None]:
        before = _version(port)
        models.swap(is_new=True)
        _refresh(port)
        yield
        for _ in wait(60, every_s=0.1):
            if _version(port) != before:
                break

    return _measure(port, bodies, n_turns, seconds, verifying)


def measure_taking_turns(port: int, models: Models, bodies: Path, n_turns: int, seconds: float) -> Percentiles:
    """While two versions that were verified before take each other's place again and again."""
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.wait(_SWAP_EVERY_S):
            models.swap(is_new=False)
            _refresh(port)

    @contextmanager
    def taking_turns() -> Iterator[None]:
        is_over.clear()
        swapping = threading.Thread(target=swap)
        swapping.start()
        yield
        is_over.set()
        swapping.join()

    return _measure(port, bodies, n_turns, seconds, taking_turns)


def measure(*, is_quick: bool) -> None:
    """Measure both; print a table and write it below ``build/bench``."""
    from benchmarks.flights import prepare_flights

    flights = prepare_flights(FOLDER / "flights")
    folder = FOLDER / "swap"
    shutil.rmtree(folder, ignore_errors=True)
    models = Models(folder / "models", flights.model_folder)
    port, n_turns, seconds = free_port(), 3 if is_quick else 7, 2 if is_quick else 3
    environment = clean_environment(
        folder,
        PYTHONPATH=str(PROJECT),
        TREESERVE_MODEL_URI=str(models.link),
        TREESERVE_CACHE_DIR=str(folder / "cache"),
        TREESERVE_PAYLOAD_LOG=str(folder / "payload.log"),
        TREESERVE_PORT=str(port),
    )
    treeserve = str(PROJECT / ".venv" / "bin" / "treeserve")
    with run_server(
        [treeserve, "serve"], environment, folder / "server", port, flights.is_answered, core=choose_cores()[0]
    ):
        found = {
            "a new version is verified": measure_verifying(port, models, flights.single, n_turns, seconds),
            f"versions take turns every {_SWAP_EVERY_S:g} s": measure_taking_turns(
                port, models, flights.single, n_turns, seconds
            ),
        }
    rows = [[name, *map(format_number, (p.without, p.during, p.ratio))] for name, p in found.items()]
    table = format_table(["while", "p99 without, ms", "p99 during, ms", "ratio"], rows)
    text = f"{describe_machine(('uvicorn', 'uvloop'))}\n\n{table}"
    (FOLDER / "swap.md").write_text(text, encoding="utf-8")
    print(text)


def _measure(
    port: int, bodies: Path, n_turns: int, seconds: float, swapping: Callable[[], AbstractContextManager[None]]
) -> Percentiles:
    core = choose_cores()[1]

    def load() -> float:
        return run_wrk(port, bodies, connections=_CONNECTIONS, seconds=math.ceil(seconds), core=core).p99_ms

    load()
    without, during = [], []
    for _ in range(n_turns):
        without.append(load())
        with swapping():
            during.append(load())
    return Percentiles(statistics.median(without), statistics.median(during))


def _refresh(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/model/refresh")
    connection.getresponse().read()
    connection.close()


def _version(port: int) -> str:
    """The version that answers, as an answer says it; `GET /model` says more, and takes longer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/readyz")
    version: str = json.loads(connection.getresponse().read())["version"]
    connection.close()
    return version
