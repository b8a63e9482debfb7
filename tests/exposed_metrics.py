"""Every metric of the service, as /metrics shows it: what documents, rules and dashboards are held against."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from app.exposition import Format, write
from app.metrics import Metrics
from app.observed.observations import Observations
from app.predictor import Predictor
from app.tallies import Spreads, Tally


@dataclass(frozen=True)
class ExposedMetric:
    """One of them."""

    text: str
    labels: tuple[str, ...]
    series: frozenset[str]


def read_text(text: str, form: Format = Format.PROMETHEUS) -> list[Metric]:
    """What the client library's own parsers make of /metrics."""
    if form is Format.OPEN_METRICS:
        return list(parse_open_metrics(text))  # type: ignore[no-untyped-call]
    return list(parse_prometheus(text))


def expose(predictor: Predictor) -> dict[str, ExposedMetric]:
    """
    All of them by their names, a counter's with its ``_total``.

    Parameters
    ----------
    predictor : Predictor
        With a reference profile.
    """
    metrics = Metrics(CollectorRegistry())
    Observations(metrics, lambda _: None).keep([predictor])
    for metric in vars(metrics).values():  # one with labels has no series before it has values for them
        if isinstance(metric, Tally):
            metric.values[tuple(metric.label_names)] += 1
        elif isinstance(metric, Spreads):
            metric.values[tuple(metric.label_names)].observe(1)
        elif labels := getattr(metric, "_labelnames", ()):
            metric.labels(*labels)
    found = {}
    for family in read_text(write(metrics.take(), Format.PROMETHEUS).decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert family.samples, name
        labels = tuple(label for label in family.samples[0].labels if label != "le")
        series = frozenset(sample.name for sample in family.samples)
        found[name] = ExposedMetric(family.documentation, labels, series)
    return found
