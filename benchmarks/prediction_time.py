"""The report on how long predictions take on this machine: the kernel, the service, its start and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import forest_time, service_time
from benchmarks.evaluators import EVALUATORS, KERNEL
from benchmarks.flights import N_BATCH_ROWS, prepare_flights
from benchmarks.forest_time import ForestTime
from benchmarks.load import find_wrk
from benchmarks.report import FOLDER, describe_machine, draw_bars, format_table
from benchmarks.servers import choose_cores
from benchmarks.service_time import (
    ALONE,
    BARE,
    BESIDE_BATCHES,
    CONNECTIONS,
    SERVICE,
    SERVICE_NO_LOG,
    TUTORIAL,
    LoadTurns,
    Start,
    pick,
)
from benchmarks.turns import medians, ratios
from tests.processes import PROJECT

_PACKAGES = ("uvicorn", "fastapi", "pydantic", "xgboost-cpu", "numpy")
_MANY_TREES, _MANY_CONNECTIONS = 200, 16


@dataclass(frozen=True)
class Measured:
    """All that was measured."""

    forest: Sequence[ForestTime]
    forest_versions: Mapping[str, str]
    single: Mapping[int, LoadTurns]
    beside_batches: Mapping[int, tuple[LoadTurns, float]]
    batches: LoadTurns
    mixed_batches: LoadTurns
    starts: Mapping[str, Start]


def measure(*, is_quick: bool) -> None:
    """Measure all of it; write the report and its charts below ``build/bench``, and print the report."""
    find_wrk()  # before minutes have gone by
    begun = time.monotonic()
    measured = _measure(is_quick)
    minutes = (time.monotonic() - begun) / 60
    text = write_report(
        measured, describe_machine(_PACKAGES), f"{'quick' if is_quick else 'full'} run, {minutes:.1f} minutes"
    )
    draw_charts(measured)
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


def write_report(measured: Measured, machine: str, run: str) -> str:
    """Write the report in Markdown."""
    versions = ", ".join(f"{package} {version}" for package, version in measured.forest_versions.items())
    sections = {
        "In short": summarize(measured),
        "A forest, one thread": _format_forest(measured.forest)
        + f"\nMicroseconds a row, and how many times as quick as XGBoost in the same turn. {versions}.\n",
        "Single rows": _format_single(measured.single),
        "Single rows while batches are answered": _format_beside_batches(measured.beside_batches),
        f"One request of {N_BATCH_ROWS:,} rows": _format_batches(measured),
        "Start and memory": _format_starts(measured.starts),
    }
    text = "\n".join(f"## {title}\n\n{content}" for title, content in sections.items())
    return f"# Prediction time\n\n{machine}; {run}.\n\n{text}"


def summarize(measured: Measured) -> str:
    """The figures that say most."""
    single = measured.single[_MANY_CONNECTIONS]
    requests = pick(single, "requests_per_s")
    times = {
        found.n_rows: found.times_xgboost
        for found in measured.forest
        if found.evaluator == KERNEL and found.n_trees == _MANY_TREES
    }
    start = measured.starts[SERVICE]
    logged = pick(measured.batches, "p50_ms")
    rows = [
        (f"requests/s at {_MANY_CONNECTIONS} connections, of bare uvicorn's", f"{ratios(requests, BARE)[SERVICE]:.2f}"),
        ("the same, of the tutorial's", f"{ratios(requests, TUTORIAL)[SERVICE]:.1f} ×"),
        *(
            (f"kernel, {n_rows:,} rows, {_MANY_TREES} trees, of XGBoost's speed", _times(times[n_rows]))
            for n_rows in times
        ),
        (f"{N_BATCH_ROWS:,} rows in a request, p50", f"{medians(logged)[SERVICE]:.1f} ms"),
        ("throughput that the payload log costs", f"{1 - ratios(requests, SERVICE_NO_LOG)[SERVICE]:.1%}"),
        (
            "p99 with the payload log, of that without",
            f"{ratios(pick(single, 'p99_ms'), SERVICE_NO_LOG)[SERVICE]:.2f} ×",
        ),
        ("start to first answer, model in the cache folder", f"{start.seconds:.2f} s"),
        ("resident memory at rest", f"{start.memory.rss_mb:.0f} MB"),
    ]
    return format_table(("what", "measured"), rows)


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.3g} ×"


def _format_forest(times: Sequence[ForestTime]) -> str:
    cells = {(found.n_trees, found.n_rows, found.evaluator): _format_forest_time(found) for found in times}
    rows = [
        (f"{n_trees:,} trees, {n_rows:,} rows", *(cells[n_trees, n_rows, name] for name in EVALUATORS))
        for n_trees, n_rows in dict.fromkeys((found.n_trees, found.n_rows) for found in times)
    ]
    notes = dict.fromkeys(
        f"{found.evaluator}, {found.n_trees:,} trees: {found.why_not}.\n" for found in times if found.why_not
    )
    return format_table(("forest", *EVALUATORS), rows) + "".join(f"\n{note}" for note in notes)


def _format_forest_time(found: ForestTime) -> str:
    if found.us_per_row is None:
        return "wrong" if found.why_not.startswith("wrong") else "–"
    return f"{found.us_per_row:.3g} ({_times(found.times_xgboost)})"


def _format_single(single: Mapping[int, LoadTurns]) -> str:
    rows = []
    for connections, turns in single.items():
        requests = pick(turns, "requests_per_s")
        per_s, p50, p99 = medians(requests), medians(pick(turns, "p50_ms")), medians(pick(turns, "p99_ms"))
        of_bare, of_tutorial = ratios(requests, BARE), ratios(requests, TUTORIAL)
        rows += [
            (
                f"{name}, {connections} connections",
                f"{per_s[name]:,.0f}",
                f"{p50[name]:.2f}",
                f"{p99[name]:.2f}",
                f"{of_bare[name]:.3f}",
                f"{of_tutorial[name]:.1f} ×",
            )
            for name in turns[0]
        ]
    return format_table(("server", "requests/s", "p50, ms", "p99, ms", "of bare uvicorn", "of the tutorial"), rows)


def _format_beside_batches(found: Mapping[int, tuple[LoadTurns, float]]) -> str:
    rows = []
    for connections, (turns, batches_per_s) in found.items():
        per_s, p50 = medians(pick(turns, "requests_per_s")), medians(pick(turns, "p50_ms"))
        p99s = pick(turns, "p99_ms")
        p99, times = medians(p99s), ratios(p99s, ALONE)
        rows += [
            (
                f"{connections} connections, {name}",
                f"{per_s[name]:,.0f}",
                f"{p50[name]:.2f}",
                f"{p99[name]:.2f}",
                f"{times[name]:.1f} ×",
                f"{batches_per_s:.1f}" if name == BESIDE_BATCHES else "–",
            )
            for name in turns[0]
        ]
    return format_table(("single rows", "requests/s", "p50, ms", "p99, ms", "p99, of alone", "batches/s"), rows)


def _format_batches(measured: Measured) -> str:
    rows = []
    for what, turns in (("known places", measured.batches), ("a few unknown places", measured.mixed_batches)):
        p50s = pick(turns, "p50_ms")
        p50, p99, times = medians(p50s), medians(pick(turns, "p99_ms")), ratios(p50s, TUTORIAL)
        rows += [
            (f"{name}, {what}", f"{p50[name]:.1f}", f"{p99[name]:.1f}", f"{1 / times[name]:.1f} ×") for name in turns[0]
        ]
    return format_table(("server", "p50, ms", "p99, ms", "as quick as the tutorial"), rows)


def _format_starts(starts: Mapping[str, Start]) -> str:
    rows = [
        (name, f"{start.seconds:.2f}", f"{start.memory.rss_mb:.0f}", f"{start.memory.pss_mb:.0f}")
        for name, start in starts.items()
    ]
    return format_table(("server", "first answer after, s", "resident (RSS), MB", "of its own (PSS), MB"), rows)


def draw_charts(measured: Measured) -> None:
    """Draw the kernel beside the others, and the service beside the others."""
    n_rows = dict.fromkeys(found.n_rows for found in measured.forest)
    draw_bars(
        FOLDER / "kernel.png",
        f"A forest of {_MANY_TREES} trees of depth 8, one thread",
        "microseconds a row (logarithmic; less is better)",
        {
            f"{n:,} rows": {
                found.evaluator: found.us_per_row
                for found in measured.forest
                if found.n_trees == _MANY_TREES and found.n_rows == n and found.us_per_row
            }
            for n in n_rows
        },
        is_logarithmic=True,
    )
    draw_bars(
        FOLDER / "service.png",
        "Single flights, one process on one core",
        "requests/s",
        {f"{n} connections": medians(pick(turns, "requests_per_s")) for n, turns in measured.single.items()},
    )
