"""
Metrics that only one thread changes, most of them the event loop's: plain numbers, without the client library's locks.

A scrape reads them there too. A histogram takes 0.3 µs to change where `prometheus_client`'s own takes more than 1.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar


class Tally(Collector):
    """
    A counter or gauge for each combination of labels.

    Attributes
    ----------
    label_names : sequence of str
    values : dict of tuple of str to float
        By the labels' values; add to them.
    """

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str], registry: CollectorRegistry, *, is_gauge: bool = False
    ) -> None:
        self.name = name
        self.values: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._help = help_text
        self.label_names = labels
        self._kind = GaugeMetricFamily if is_gauge else CounterMetricFamily
        if not labels:
            self.values[()] = 0.0
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """What the registry asks to keep names apart."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """What a scrape reads."""
        family = self._kind(self.name, self._help, labels=self.label_names)
        for labels, value in list(self.values.items()):  # another thread may add some
            family.add_metric(labels, value)
        yield family


class Spread:
    """How often values fell into each bucket, and their sum; and of each bucket the latest value that has a trace."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._exemplars: list[tuple[str, float, float] | None] = [None] * len(self._counts)

    def observe(self, value: float, trace_id: str | None = None) -> None:
        """Count one value, of a trace if there is one."""
        place = bisect_left(self._bounds, value)
        self._counts[place] += 1
        self._sum += value
        if trace_id is not None:
            self._exemplars[place] = trace_id, value, time.time()

    def observe_all(self, values: npt.NDArray[np.float64]) -> None:
        """Count many values at once."""
        places = np.searchsorted(self._bounds, values)
        counts = np.bincount(places, minlength=len(self._counts))
        self._counts = [before + n for before, n in zip(self._counts, counts.tolist(), strict=True)]
        self._sum += float(values.sum())

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Put it into what a scrape reads."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        exemplars = [found and Exemplar({"trace_id": found[0]}, *found[1:]) for found in self._exemplars]
        buckets: Any = zip(names, accumulate(self._counts), exemplars, strict=True)  # None too, where there is none
        family.add_metric(labels, list(buckets), self._sum)


class Spreads(Collector):
    """
    A histogram for each combination of labels.

    Attributes
    ----------
    label_names : sequence of str
    values : dict of tuple of str to Spread
        By the labels' values.
    """

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self.name = name
        self.values: defaultdict[tuple[str, ...], Spread] = defaultdict(lambda: Spread(bounds))
        self._help = help_text
        self.label_names = labels
        if not labels:
            self.values[()] = Spread(bounds)
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """What the registry asks to keep names apart."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """What a scrape reads."""
        family = HistogramMetricFamily(self.name, self._help, labels=self.label_names)
        for labels, spread in list(self.values.items()):
            spread.add_to(family, labels)
        yield family
