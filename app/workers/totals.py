"""Metrics of several processes as if they were one's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import add

from app.exposition import Family

# A gauge is the largest of all processes', which have the same model and the same age, but for these.
_ADDED = {
    "treeserve_requests_in_flight",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
}
_LEAST = {"process_start_time_seconds"}


def add_up(processes: Iterable[Sequence[Family]], *, are_gone: bool = False) -> list[Family]:
    """
    Add up the metrics of processes; of their exemplars, take the latest.

    Parameters
    ----------
    processes : iterable of sequence of Family
    are_gone : bool
        Whether the processes are there no more: what they have counted stays, and their gauges do not.
    """
    totals: dict[str, Family] = {}
    for families in processes:
        for family in families:
            if are_gone and family.kind == "gauge":
                continue
            total = totals.setdefault(family.name, family._replace(values={}, exemplars={}))
            merge = _merge_of(family)
            for lines, values in family.values.items():
                so_far = total.values.get(lines)
                total.values[lines] = list(map(merge, so_far, values)) if so_far else values
            for line, exemplar in family.exemplars.items():
                latest = total.exemplars.get(line, exemplar)
                total.exemplars[line] = max(latest, exemplar, key=lambda one: one.at_s)
    return list(totals.values())


def _merge_of(family: Family) -> Callable[[float, float], float]:
    if family.kind != "gauge" or family.name in _ADDED:
        return add
    return min if family.name in _LEAST else max
