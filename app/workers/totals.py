"""Metrics of several processes as if they were one's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

# A gauge is the largest of all processes', which have the same model and the same age, but for these.
_ADDED = {
    "treeserve_requests_in_flight",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
}
_LEAST = {"process_start_time_seconds"}

# Name, type, help, and samples: name, labels, value.
Family = list[Any]


def take_samples(collectors: CollectorRegistry) -> list[Family]:
    """All metrics of this process, as JSON has them."""
    return [
        [
            family.name,
            family.type,
            family.documentation,
            [[sample.name, sorted(sample.labels.items()), sample.value] for sample in family.samples],
        ]
        for family in collectors.collect()
    ]


def add_up(processes: Iterable[Sequence[Family]], *, are_gone: bool = False) -> list[Family]:
    """
    Add up the metrics of processes.

    Parameters
    ----------
    processes : iterable of sequence of Family
    are_gone : bool
        Whether the processes are there no more: what they have counted stays, and their gauges do not.
    """
    totals: dict[str, Family] = {}
    values: dict[str, dict[tuple[Any, ...], float]] = {}
    for families in processes:
        for name, kind, text, samples in families:
            if are_gone and kind == "gauge":
                continue
            totals.setdefault(name, [name, kind, text])
            merged = values.setdefault(name, {})
            for sample, labels, value in samples:
                key = sample, tuple(map(tuple, labels))
                merged[key] = _merge(name, kind, merged[key], value) if key in merged else value
    return [
        [*family, [[sample, labels, value] for (sample, labels), value in values[name].items()]]
        for name, family in totals.items()
    ]


def expose(families: Sequence[Family]) -> bytes:
    """Prometheus's text format, version 0.0.4."""
    collectors = CollectorRegistry()
    collectors.register(_Families(families))
    return generate_latest(collectors)


def _merge(name: str, kind: str, one: float, other: float) -> float:
    if kind != "gauge" or name in _ADDED:
        return one + other
    return min(one, other) if name in _LEAST else max(one, other)


class _Families(Collector):
    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        for name, kind, text, samples in self._families:
            metric = Metric(name, text, kind)
            for sample, labels, value in samples:
                metric.add_sample(sample, dict(labels), value)
            yield metric
