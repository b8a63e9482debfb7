"""
Of every instance that is answered there is a line in the payload log, or it is counted as lost; to the last one.

At twice the rate that the service can answer, with a reader that stalls and with a disk that is full.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.open_loop import offer
from benchmarks.overload import BATCH_ROWS, write_bodies
from tests.e2e.servers import Server, Start

pytestmark = pytest.mark.faults

LOAD_S, N_LOADS = 2.0, 20
DISK_BYTES = 20_000_000


def overload(server: Server, folder: Path) -> int:
    """Ask twice as much as is answered, until lines are lost; how many instances were answered."""
    bodies = folder / "bodies.jsonl"
    write_bodies(bodies, BATCH_ROWS)
    port = int(server.port)
    rate = 2 * offer(port, bodies, rate=math.inf, seconds=1, connections=16, core=None).answered_per_s
    for _ in range(N_LOADS):
        offered = offer(port, bodies, rate=rate, seconds=LOAD_S, connections=1024, core=None)
        totals: Counter[str] = Counter()
        for family in text_string_to_metric_families(server.get("/metrics").text):
            for sample in family.samples:
                totals[sample.name] += round(sample.value)
        if totals["treeserve_payload_dropped_total"] and offered.refused_per_s:
            return totals["treeserve_rows_total"]
    raise AssertionError(f"nothing was lost: {offered}")


def count(lines: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Instances whose lines were written, and those that the service says are lost; each request's are in order."""
    n_written = n_lost = 0
    last: dict[str, int] = {}
    for line in lines:
        if line["event.dataset"] == "treeserve.prediction":
            n_written += 1
            request, instance = line["http.request.id"], line["treeserve.request.instance"]
            assert instance > last.get(request, -1)
            last[request] = instance
        elif found := re.match(r"(\d+) lines of the payload log have been lost since the start", line["message"]):
            n_lost = int(found[1])
    return n_written, n_lost


def test_a_reader_that_stalls_costs_lines_that_are_counted(start: Start, tmp_path: Path) -> None:
    """Nobody reads standard output while the load lasts; what the queue kept is written when somebody does."""
    reader, writer = os.pipe()
    may_read = Event()
    pieces: list[bytes] = []

    def read() -> None:
        may_read.wait(120)
        while piece := os.read(reader, 1 << 20):
            pieces.append(piece)

    thread = Thread(target=read, daemon=True)
    thread.start()
    try:
        server = start(writer)
        os.close(writer)
        server.wait_until_ready()
        n_rows = overload(server, tmp_path)
        may_read.set()
        assert server.end() == 0
        thread.join(30)
    finally:
        may_read.set()
        os.close(reader)
    n_written, n_lost = count(map(json.loads, b"".join(pieces).splitlines()))
    print(f"{n_rows} answered, {n_written} written, {n_lost} lost")
    assert min(n_written, n_lost) > 0
    assert n_written + n_lost == n_rows


def test_a_full_disk_costs_lines_that_are_counted(start: Start, tmp_path: Path) -> None:
    """No file of the service's may have more than 20 MB; every line that is there is whole."""
    log = tmp_path / "payload.log"
    server = start(prefix=["prlimit", f"--fsize={DISK_BYTES}"], TREESERVE_PAYLOAD_LOG=str(log))
    server.wait_until_ready()
    n_rows = overload(server, tmp_path)
    assert server.end() == 0
    *whole, cut = log.read_bytes().split(b"\n")
    n_written, _ = count(map(json.loads, whole))
    _, n_lost = count(server.lines())
    print(f"{n_rows} answered, {n_written} written, {n_lost} lost, {len(cut)} bytes of one that was cut")
    assert min(n_written, n_lost) > 0
    assert n_written + n_lost == n_rows
