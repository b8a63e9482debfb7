"""What the comparison found, as a page: two tables, what was not right, and a chart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from app import __version__
from benchmarks.peers.answers import TOLERANCE
from benchmarks.peers.catalogue import OWN, SAMPLED
from benchmarks.peers.comparison import Comparison, Measure
from benchmarks.peers.environments import Environment
from benchmarks.peers.peer import Peer
from benchmarks.peers.visit import CONNECTIONS, N_DISTINCT, Visit
from benchmarks.report import describe_machine, draw_bars, format_number, format_table

_FEW, _MANY = CONNECTIONS
_SINGLE = (
    "server",
    f"requests/s, {_MANY} connections",
    "treeserve is",
    "p50, ms",
    "p99, ms",
    f"requests/s, {_FEW} connection",
    "p50, ms",
    "p99, ms",
)
_OTHERS = (
    "server",
    "10,000 rows, ms",
    "treeserve is",
    "start, s",
    "memory (PSS), MB",
    "installed, MB",
    "packages",
    "wrong answers",
)
_NOTHING = "-"


def write_page(comparison: Comparison) -> str:
    """Write all that was found, in Markdown."""
    machine = describe_machine(["xgboost-cpu"])
    single = format_table(_SINGLE, [_single(comparison, peer) for peer in comparison.peers])
    others = format_table(_OTHERS, [_other(comparison, peer) for peer in comparison.peers])
    n_turns = len(comparison.turns)
    return "\n".join(
        [
            f"{machine}. Medians of {n_turns} turns.\n",
            f"One row a request, {N_DISTINCT:,} distinct rows in turn:\n",
            single,
            "All rows in one request, from start to first answer, memory at rest, and what is installed:\n",
            others,
            *_notes(comparison),
        ]
    )


def draw_chart(comparison: Comparison, file: Path) -> None:
    """Draw the requests a second of each server."""
    groups = {
        (peer.title + peer.detail).replace("`", ""): {
            f"{n} connections" if n > 1 else "1 connection": found
            for n in CONNECTIONS
            if (found := comparison.median(peer.name, _requests_per_s(n))) is not None
        }
        for peer in comparison.peers
        if comparison.visits(peer.name)
    }
    draw_bars(file, "Single rows on one core", "requests/s", groups, is_logarithmic=True)


def _single(comparison: Comparison, peer: Peer) -> list[str]:
    def cell(measure: Measure) -> str:
        return _cell(comparison.median(peer.name, measure))

    return [
        _title(comparison, peer),
        cell(_requests_per_s(_MANY)),
        _times(comparison.ratio(OWN, peer.name, _requests_per_s(_MANY))),
        cell(lambda visit: visit.single[_MANY].p50_ms),
        cell(lambda visit: visit.single[_MANY].p99_ms),
        cell(_requests_per_s(_FEW)),
        cell(lambda visit: visit.single[_FEW].p50_ms),
        cell(lambda visit: visit.single[_FEW].p99_ms),
    ]


def _other(comparison: Comparison, peer: Peer) -> list[str]:
    found = comparison.environments[peer.name]
    environment = found if isinstance(found, Environment) else None
    batch = None if peer.is_ceiling else comparison.median(peer.name, _batch_ms)
    times = None if peer.is_ceiling else comparison.ratio(peer.name, SAMPLED, _batch_ms)
    return [
        _title(comparison, peer),
        _cell(batch),
        _times(times),
        _cell(comparison.median(peer.name, lambda visit: visit.start_s)),
        _cell(comparison.median(peer.name, lambda visit: visit.memory.pss_mb)),
        _cell(environment.size_mb if environment else None),
        str(len(environment.packages)) if environment else _NOTHING,
        _wrong(comparison, peer),
    ]


def _notes(comparison: Comparison) -> Iterator[str]:
    """What a reader has to know of a server, and what was wrong with it."""
    for peer in comparison.peers:
        told = [peer.note] if peer.note else []
        verdicts = [visit.verdict for visit in comparison.visits(peer.name) if visit.verdict]
        if wrong := [verdict for verdict in verdicts if verdict.n_wrong]:
            worst = max(verdict.largest_error for verdict in wrong)
            told.append(
                f"**Wrong**: {wrong[0].n_wrong:,} of {wrong[0].n_predictions:,} predictions are further than "
                f"{TOLERANCE:g} from XGBoost's, by up to {worst:.2g}."
            )
        if failure := comparison.failure(peer.name):
            told.append(f"**Failed** on {datetime.now(UTC):%Y-%m-%d}: {' '.join(failure.reason.split())[:400]}")
        if told:
            yield f"- {peer.title}{peer.detail}: {' '.join(told)}"


def _title(comparison: Comparison, peer: Peer) -> str:
    environment = comparison.environments[peer.name]
    version = __version__
    if peer.distribution is not None:
        version = environment.packages[peer.distribution] if isinstance(environment, Environment) else ""
    return f"{peer.title} {version}{peer.detail}"


def _wrong(comparison: Comparison, peer: Peer) -> str:
    verdicts = [visit.verdict for visit in comparison.visits(peer.name) if visit.verdict]
    return f"{max(verdict.n_wrong for verdict in verdicts):,}" if verdicts else _NOTHING


def _requests_per_s(connections: int) -> Measure:
    return lambda visit: visit.single[connections].requests_per_s


def _batch_ms(visit: Visit) -> float:
    assert visit.batch is not None
    return visit.batch.p50_ms


def _times(value: float | None) -> str:
    return _NOTHING if value is None else f"{format_number(value)} ×"


def _cell(value: float | None) -> str:
    return _NOTHING if value is None else format_number(value)
