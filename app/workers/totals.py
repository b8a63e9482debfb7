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
# Counted for the versions that serve, and forgotten with them.
_OF_VERSIONS = {"treeserve_feature_observations", "treeserve_prediction_observations"}


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


def drop_forgotten(gone: Sequence[Family], living: Sequence[Family]) -> list[Family]:
    """
    Of what processes that are gone have counted, leave out the versions that nobody serves any more.

    They are forgotten by those that live. What is left of them would be less than it was, which Prometheus takes for
    counts begun anew, and would be more with each promotion.
    """
    known = {family.name: family.values.keys() for family in living if family.name in _OF_VERSIONS}
    return [
        family._replace(values={line: n for line, n in family.values.items() if line in known.get(family.name, ())})
        if family.name in _OF_VERSIONS
        else family
        for family in gone
    ]


class LastTold:
    """What was told last of what only grows, so that it never becomes less by the rounding of another order."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def hold(self, totals: Sequence[Family]) -> list[Family]:
        """The totals, none of them less than before."""
        held = [
            family
            if family.kind == "gauge"
            else family._replace(
                values={
                    line: list(map(max, now, self._values[line])) if line in self._values else now
                    for line, now in family.values.items()
                }
            )
            for family in totals
        ]
        self._values = {line: n for family in held if family.kind != "gauge" for line, n in family.values.items()}
        return held


def _merge_of(family: Family) -> Callable[[float, float], float]:
    if family.kind != "gauge" or family.name in _ADDED:
        return add
    return min if family.name in _LEAST else max
