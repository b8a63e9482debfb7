"""How long predictions take on this machine: the kernel, the service, its start and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import time

from benchmarks import service_time
from benchmarks.flights import prepare_flights
from benchmarks.forest_time import ForestTime
from benchmarks.load import find_wrk
from benchmarks.prediction_report import Measured, draw_charts, write_report
from benchmarks.report import FOLDER, describe_machine
from benchmarks.servers import choose_cores
from benchmarks.service_time import CONNECTIONS
from tests.processes import PROJECT

_PACKAGES = ("uvicorn", "fastapi", "pydantic", "xgboost-cpu", "numpy")


def measure(*, is_quick: bool) -> None:
    """Measure all of it; write the report and its charts below ``build/bench``, and print the report."""
    find_wrk()  # before minutes have gone by
    begun = time.monotonic()
    measured = _measure(is_quick)
    minutes = (time.monotonic() - begun) / 60
    text = write_report(
        measured, describe_machine(_PACKAGES), f"{'quick' if is_quick else 'full'} run, {minutes:.1f} minutes"
    )
    draw_charts(measured, FOLDER)
    (FOLDER / "prediction-time.md").write_text(text, encoding="utf-8")
    print(text)


def _measure(is_quick: bool) -> Measured:
    effort = service_time.QUICK if is_quick else service_time.FULL
    flights = prepare_flights(FOLDER / "flights")
    _say("starts")
    starts = service_time.measure_starts(flights, effort)
    with service_time.run_all(flights) as running:
        single = {}
        for connections in CONNECTIONS:
            _say(f"single rows, {connections} connection(s)")
            single[connections] = running.measure_single(connections, effort)
        _say("single rows beside batches")
        beside_batches = {
            connections: running.measure_beside_batches(connections, effort) for connections in CONNECTIONS[:2]
        }
        _say("batches")
        batches = running.measure_batches(flights.batches, effort)
        mixed_batches = running.measure_batches(flights.mixed_batches, effort)
    _say("forests")
    forest, versions = _measure_forests(is_quick)
    return Measured(forest, versions, single, beside_batches, batches, mixed_batches, starts)


def _say(what: str) -> None:
    print(f"measuring: {what}", flush=True)


def _measure_forests(is_quick: bool) -> tuple[list[ForestTime], dict[str, str]]:
    """In the environment that has the other evaluators, on one core."""
    file, log = FOLDER / "forests.json", FOLDER / "forests.log"
    python = FOLDER / "evaluators" / "bin" / "python"
    command = ["taskset", "--cpu-list", str(choose_cores()[1]), str(python), "-m", "benchmarks.forest_time", str(file)]
    with log.open("w") as output:
        done = subprocess.run(
            [*command, *(["--quick"] if is_quick else [])],
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"the forests could not be measured: {log.read_text()[-2000:]}")
    found = json.loads(file.read_text(encoding="utf-8"))
    return [ForestTime(**time) for time in found["times"]], found["versions"]
