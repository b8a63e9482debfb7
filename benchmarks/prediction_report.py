"""The report on how long predictions take, from what was measured: tables in Markdown, and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.evaluators import EVALUATORS, KERNEL
from benchmarks.flights import N_BATCH_ROWS
from benchmarks.forest_time import ForestTime
from benchmarks.report import draw_bars, format_number, format_table
from benchmarks.service_time import (
    ALONE,
    BARE,
    BESIDE_BATCHES,
    SAMPLED,
    SERVICE,
    SERVICE_NO_LOG,
    TUTORIAL,
    LoadTurns,
    Start,
    pick,
)
from benchmarks.turns import medians, ratios

_MANY_TREES, _MANY_CONNECTIONS = 200, 16
_FEW_AND_MANY_ROWS = (1, 64, 8192)


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
        if found.evaluator == KERNEL and found.n_trees == _MANY_TREES and found.n_rows in _FEW_AND_MANY_ROWS
    }
    start = measured.starts[SERVICE]
    batches = pick(measured.batches, "p50_ms")
    rows = [
        (f"requests/s at {_MANY_CONNECTIONS} connections, of bare uvicorn's", f"{ratios(requests, BARE)[SERVICE]:.2f}"),
        ("the same, of the tutorial's", f"{ratios(requests, TUTORIAL)[SERVICE]:.1f} ×"),
        *(
            (f"kernel, {_count(n_rows, 'row')}, {_MANY_TREES} trees, as quick as XGBoost", _times(times[n_rows]))
            for n_rows in times
        ),
        (f"{N_BATCH_ROWS:,} rows in a request, p50", f"{medians(batches)[SERVICE]:.1f} ms"),
        ("the same, 1 % of requests logged", f"{medians(batches)[SAMPLED]:.1f} ms"),
        ("throughput that the payload log costs", f"{1 - ratios(requests, SERVICE_NO_LOG)[SERVICE]:.1%}"),
        (
            "p99 with the payload log, of that without",
            f"{ratios(pick(single, 'p99_ms'), SERVICE_NO_LOG)[SERVICE]:.2f} ×",
        ),
        ("start to first answer, model in the cache folder", f"{start.seconds:.2f} s"),
        ("resident memory at rest", f"{start.memory.rss_mb:.0f} MB"),
    ]
    return format_table(("what", "measured"), rows)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{format_number(ratio)} ×"


def _format_forest(times: Sequence[ForestTime]) -> str:
    cells = {(found.n_trees, found.n_rows, found.evaluator): _format_forest_time(found) for found in times}
    rows = [
        (f"{_count(n_trees, 'tree')}, {_count(n_rows, 'row')}", *(cells[n_trees, n_rows, name] for name in EVALUATORS))
        for n_trees, n_rows in dict.fromkeys((found.n_trees, found.n_rows) for found in times)
    ]
    notes = dict.fromkeys(
        f"{found.evaluator}, {found.n_trees:,} trees: {found.why_not}.\n" for found in times if found.why_not
    )
    return format_table(("forest", *EVALUATORS), rows) + "".join(f"\n{note}" for note in notes)


def _format_forest_time(found: ForestTime) -> str:
    if found.us_per_row is None:
        return "wrong" if found.why_not.startswith("wrong") else "–"
    return f"{format_number(found.us_per_row)} ({_times(found.times_xgboost)})"


def _format_single(single: Mapping[int, LoadTurns]) -> str:
    rows = []
    for connections, turns in single.items():
        requests = pick(turns, "requests_per_s")
        per_s, p50, p99 = medians(requests), medians(pick(turns, "p50_ms")), medians(pick(turns, "p99_ms"))
        of_bare, of_tutorial = ratios(requests, BARE), ratios(requests, TUTORIAL)
        rows += [
            (
                f"{name}, {_count(connections, 'connection')}",
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
                f"{_count(connections, 'connection')}, {name}",
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


def draw_charts(measured: Measured, folder: Path) -> None:
    """Draw the kernel beside the others, and the service beside the others, into two files."""
    n_rows = dict.fromkeys(found.n_rows for found in measured.forest)
    draw_bars(
        folder / "kernel.png",
        f"A forest of {_MANY_TREES} trees of depth 8, one thread",
        "microseconds a row (logarithmic; less is better)",
        {
            _count(n, "row"): {
                found.evaluator: found.us_per_row
                for found in measured.forest
                if found.n_trees == _MANY_TREES and found.n_rows == n and found.us_per_row
            }
            for n in n_rows
        },
        is_logarithmic=True,
    )
    draw_bars(
        folder / "service.png",
        "Single flights, one process on one core",
        "requests/s",
        {_count(n, "connection"): medians(pick(turns, "requests_per_s")) for n, turns in measured.single.items()},
    )
