"""
Twice as many requests as a process can answer do not keep it from answering.

Figures are ratios within one run; docs/benchmarks.md has them for a machine that does nothing else.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load import LoadFailed
from benchmarks.open_loop import offer
from benchmarks.overload import BATCH_ROWS, Overload, measure_overload, write_bodies, write_model
from benchmarks.servers import choose_cores
from tests.e2e.measured_service import run_measured_service

pytestmark = [pytest.mark.alone, pytest.mark.faults]

LOAD_S = 1.0
N_ATTEMPTS = 3
# Of what is answered at capacity; measured: see docs/benchmarks.md.
SINGLE_GATE, BATCH_GATE = 0.35, 0.8
# How many times as long answers may take, at the 99th percentile; it is twice at most where nothing else runs.
P99_GATE = 4.0
UNLIMITED = "import os; os.environ['TREESERVE_MAX_IN_FLIGHT'] = '1000000'\n"


@pytest.fixture(scope="module")
def forest_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes longer than the way of a request to it."""
    return write_model(tmp_path_factory.mktemp("forest") / "model")


def measure(folder: Path, model: Path, bodies: Path, first: bytes) -> Overload:
    """Capacity and twice that; again where the machine was taken away in between, a few times."""
    with run_measured_service(folder / "limited", model, first) as server:
        for _ in range(N_ATTEMPTS):
            try:
                return measure_overload(server.port, bodies, LOAD_S, choose_cores()[1])
            except LoadFailed as error:
                reason = str(error)
    pytest.skip(f"no load can be offered on this machine now: {reason}")


def test_a_process_with_twice_its_single_rows_answers_on(tmp_path: Path, forest_folder: Path) -> None:
    """In time; and it would be seen: without a limit, all answers come late."""
    bodies = tmp_path / "bodies.jsonl"
    first = write_bodies(bodies, 1)
    found = measure(tmp_path, forest_folder, bodies, first)
    print(f"{found.goodput:.2f} of the goodput, {found.p99_ratio:.1f} times the p99; {found}")
    assert found.goodput >= SINGLE_GATE
    assert found.p99_ratio <= P99_GATE
    with run_measured_service(tmp_path / "unlimited", forest_folder, first, UNLIMITED) as server:
        planted = offer(
            server.port, bodies, rate=2 * found.rate, seconds=LOAD_S, connections=1024, core=choose_cores()[1]
        )
    assert planted.p99_ms > P99_GATE * found.at_capacity.p99_ms


def test_a_process_with_twice_its_batches_answers_on(tmp_path: Path, forest_folder: Path) -> None:
    """As many as it can; how long each takes is the limit's length of a queue of threads."""
    bodies = tmp_path / "bodies.jsonl"
    found = measure(tmp_path, forest_folder, bodies, write_bodies(bodies, BATCH_ROWS))
    print(f"{found.goodput:.2f} of the goodput; {found}")
    assert found.goodput >= BATCH_GATE
