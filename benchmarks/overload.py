"""What an overloaded service still answers: at twice the rate that it can, of single rows and of small batches."""

from __future__ import annotations

import json
import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import LoadFailed
from benchmarks.open_loop import Offered, offer
from benchmarks.report import FOLDER, describe_machine, format_number, format_table
from benchmarks.servers import choose_cores, post, run_server
from tests.boosters import make_model, make_table, make_target, to_instances, train_booster
from tests.processes import PROJECT, clean_environment, free_port

LIMITS = (32, 64, 128, 256)
# Trees of depth 8: with fewer, one process answers more single rows than this load can offer twice of. A batch takes
# some two milliseconds.
N_TREES = 1000
BATCH_ROWS = 128
_CLOSED_CONNECTIONS, _CONNECTIONS = 16, 1024
_FIRST_STEP, _STEP, _N_STEPS = 0.85, 1.06, 10
_SHARE_REFUSED = 0.01
_CORE_SHARE = 0.9


@dataclass(frozen=True)
class Overload:
    """
    The service at its capacity and at twice that.

    Attributes
    ----------
    rate : float
        Requests a second: the first rate of a ladder at which a hundredth of them is refused, or left to wait.
    at_capacity, twice : Offered
    """

    rate: float
    at_capacity: Offered
    twice: Offered

    @property
    def goodput(self) -> float:
        """Of what is answered at capacity, what is at twice the rate."""
        return self.twice.answered_per_s / self.at_capacity.answered_per_s

    @property
    def p99_ratio(self) -> float:
        """How many times as long answers take at the 99th percentile."""
        return self.twice.p99_ms / self.at_capacity.p99_ms


def measure_overload(port: int, bodies: Path, seconds: float, core: int | None) -> Overload:
    """
    Find a server's capacity, and offer twice as much.

    Raises
    ------
    LoadFailed
        If the load could not be offered, or was not answered.
    """

    def load(rate: float, connections: int = _CONNECTIONS) -> Offered:
        offered = offer(port, bodies, rate=rate, seconds=seconds, connections=connections, core=core)
        if offered.n_lost or offered.core_share < _CORE_SHARE:
            raise LoadFailed(f"a load of {rate:.0f}/s was not answered, or shared its core: {offered}")
        return offered

    rate = load(math.inf, _CLOSED_CONNECTIONS).answered_per_s * _FIRST_STEP
    for _ in range(_N_STEPS):
        at_capacity = load(rate)
        if at_capacity.answered_per_s < rate * (1 - _SHARE_REFUSED):
            return Overload(rate, at_capacity, load(2 * rate))
        rate *= _STEP
    raise LoadFailed("no rate was found at which the server refuses anything")


def write_model(folder: Path, n_trees: int = N_TREES) -> Path:
    """The model that is overloaded: as many trees as make a single row cost more than its way through the system."""
    table = make_table(n_rows=4000)
    booster = train_booster(table, make_target(table), {"max_depth": 8, "min_child_weight": 0, "eta": 0.05}, n_trees)
    return make_model(booster=booster, table=table).write(folder)


def write_bodies(file: Path, n_rows: int) -> bytes:
    """Write bodies of so many instances, one a line; the first of them."""
    instances = to_instances(make_table(n_rows=max(1000, n_rows * 4), seed=1))
    bodies = [
        json.dumps({"instances": instances[at : at + n_rows]}).encode() for at in range(0, len(instances), n_rows)
    ]
    file.write_bytes(b"".join(body + b"\n" for body in bodies))
    return bodies[0]


def measure(*, is_quick: bool) -> None:
    """Measure each limit with single rows and with batches; print a table and write it below ``build/bench``."""
    folder = FOLDER / "overload"
    shutil.rmtree(folder, ignore_errors=True)
    model = write_model(folder / "model")
    limits = LIMITS[1:3] if is_quick else LIMITS
    rows = []
    for name, n_rows in (("single rows", 1), (f"batches of {BATCH_ROWS}", BATCH_ROWS)):
        bodies = folder / f"{n_rows}.jsonl"
        first = write_bodies(bodies, n_rows)
        for limit in limits:
            print(f"measuring: {name}, at most {limit} in flight", flush=True)
            rows.append([name, str(limit), *_measure(folder, model, bodies, first, limit, 1.5 if is_quick else 4)])
    header = ["", "limit", "capacity/s", "answered at 2×/s", "share", "p99 at capacity, ms", "p99 at 2×, ms"]
    text = f"{describe_machine(('uvicorn', 'uvloop'))}\n\n{format_table(header, rows)}"
    (FOLDER / "overload.md").write_text(text, encoding="utf-8")
    print(text)


def _measure(folder: Path, model: Path, bodies: Path, first: bytes, limit: int, seconds: float) -> list[str]:
    port = free_port()
    core, load_core = choose_cores()
    environment = clean_environment(
        folder,
        PYTHONPATH=str(PROJECT),
        TREESERVE_MODEL_URI=str(model),
        TREESERVE_CACHE_DIR=str(folder / "cache"),
        TREESERVE_PAYLOAD_LOG="off",
        TREESERVE_MAX_IN_FLIGHT=str(limit),
        TREESERVE_PORT=str(port),
    )
    with run_server(
        [str(Path(sys.executable).with_name("treeserve")), "serve"],
        environment,
        folder / f"server-{port}",
        port,
        lambda at: bool(post(at, "/predict", first)),
        core=core,
    ):
        found = measure_overload(port, bodies, seconds, load_core)
    figures = [
        found.at_capacity.answered_per_s, found.twice.answered_per_s, found.goodput, found.at_capacity.p99_ms,
        found.twice.p99_ms,
    ]  # fmt: skip
    return [format_number(figure) for figure in figures]
