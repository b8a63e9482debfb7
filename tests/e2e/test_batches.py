"""
Batches hold up nobody: a single row is answered at once beside two callers who send 10,000 instances each.

Medians, which a busy machine leaves alone; the 99th percentile is in docs/benchmarks.md, and what keeps it low is
counted by tests/unit/test_giving_way.py.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from benchmarks.servers import Server, choose_cores, on_core, post
from tests.boosters import make_table, to_instances
from tests.e2e.measured_service import run_measured_service

pytestmark = pytest.mark.alone

# Of the time that a batch takes, what a single row may take beside two of them; measured: 0.01, and 0.5 where batches
# are answered on the event loop.
GATE = 0.2
N_SINGLES = 100
INLINE = """
from app.endpoints import predict
predict._is_small = lambda body, predictor: True
"""


def seconds_of(server: Server, body: bytes) -> float:
    """How long one request takes."""
    begun = time.perf_counter()
    post(server.port, "/predict", body)
    return time.perf_counter() - begun


@contextmanager
def batches(server: Server, body: bytes, taken: list[float]) -> Iterator[None]:
    """Two callers who send one batch after the other."""
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            taken.append(seconds_of(server, body))

    callers = [threading.Thread(target=send) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        is_over.set()
        for caller in callers:
            caller.join(30)


def share_of_a_batch(folder: Path, model_folder: Path, changes: str = "") -> float:
    """Time of a single row beside batches over a batch's own, medians, on one core."""
    instances = to_instances(make_table(n_rows=10_000, seed=1))
    single, batch = (json.dumps({"instances": rows}).encode() for rows in (instances[:1], instances))
    of_batches: list[float] = []
    with (
        run_measured_service(folder, model_folder, single, changes) as server,
        on_core(choose_cores()[1]),
        batches(server, batch, of_batches),
    ):
        of_singles = [seconds_of(server, single) for _ in range(N_SINGLES)]
    return median(of_singles) / median(of_batches)


def test_a_single_row_does_not_wait_for_batches(tmp_path: Path, model_folder: Path) -> None:
    """And it would be seen: batches answered on the event loop fail the gate."""
    found = share_of_a_batch(tmp_path / "own", model_folder)
    planted = share_of_a_batch(tmp_path / "inline", model_folder, INLINE)
    print(
        f"a single row takes {found:.2f} of a batch's time beside batches, {planted:.2f} where they are answered inline"
    )
    assert found <= GATE < planted
