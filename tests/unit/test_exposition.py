"""The text of the metrics says what the client library's own would, whatever stands in a label."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

from app.exposition import Format, choose_format, take_family, write
from app.metrics import make_collectors
from app.tallies import Spreads, Tally
from tests.exposed_metrics import read_text

NASTY = ['say "no"', "back\\slash", "two\nlines", "Zürich 東京 🛫", "100 %", "%s %d %%", "{a=b}, # x", "\\n", ""]


def samples(families: Iterable[Metric]) -> dict[str, tuple[str, str, list[tuple[str, dict[str, str], float, Any]]]]:
    """Kind, help and samples of each metric, but for when it began."""
    return {
        family.name: (
            family.type,
            family.documentation,
            [
                (sample.name, sample.labels, sample.value, sample.exemplar)
                for sample in family.samples
                if not sample.name.endswith("_created")
            ],
        )
        for family in families
        if not family.name.endswith("_created")
    }


@pytest.fixture
def registry() -> CollectorRegistry:
    """Metrics of every kind, with labels that have to be escaped."""
    registry = make_collectors()
    counter = Counter("c", "A counter.", ["one", "other"], registry=registry)
    gauge = Gauge("g", "A gauge.", ["one"], registry=registry)
    tally = Tally("t", "A tally.", ["one"], registry)
    spreads = Spreads("s", "Spreads.", ["one"], (0.1, 1.0), registry)
    for number, text in enumerate(NASTY):
        counter.labels(text, NASTY[-number]).inc(number + 0.5)
        gauge.labels(text).set([math.inf, -math.inf, 1e-7, 1e16, -0.1][number % 5])
        tally.values[text,] += 10**number
        spreads.values[text,].observe(number)
    return registry


@pytest.mark.parametrize("form", Format)
def test_the_text_says_what_the_client_library_says(registry: CollectorRegistry, form: Format) -> None:
    """Names, kinds, helps, labels and values."""
    metrics = [metric for metric in registry.collect() if not metric.name.startswith("process_")]  # they change
    text = write(map(take_family, metrics), form).decode()
    generate = openmetrics.generate_latest if form is Format.OPEN_METRICS else generate_latest
    expected = samples(read_text(generate(registry).decode(), form))
    found = samples(read_text(text, form))
    assert found == {name: said for name, said in expected.items() if not name.startswith("process_")}
    assert {labels["one"] for _, labels, _, _ in found["t"][2]} == set(NASTY)


@pytest.mark.parametrize("form", Format)
def test_what_is_no_number_is_read_as_such(form: Format) -> None:
    """NaN equals nothing, so the test above cannot say it."""
    registry = CollectorRegistry()
    Gauge("g", "A gauge.", registry=registry).set(math.nan)
    [family] = read_text(write(map(take_family, registry.collect()), form).decode(), form)
    assert math.isnan(family.samples[0].value)


def test_what_is_taken_goes_through_json(registry: CollectorRegistry) -> None:
    """Which carries it from a worker to the supervisor."""
    taken = [take_family(metric) for metric in registry.collect()]
    assert [type(one).from_json(json.loads(json.dumps(one))) for one in taken] == taken


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Format.PROMETHEUS),
        ("*/*", Format.PROMETHEUS),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.PROMETHEUS),
        # Prometheus 2.42, and 3, and one that is told `scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]`.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format.OPEN_METRICS,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            Format.OPEN_METRICS,
        ),
        ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", Format.PROMETHEUS),
        ("application/openmetrics-text; version=0.0.1, text/plain; version=0.0.4; q=0.5", Format.PROMETHEUS),
        ("application/openmetrics-text", Format.OPEN_METRICS),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format.OPEN_METRICS),
        ("application/openmetrics-text; version=what", Format.PROMETHEUS),
        (";;,;=,=", Format.PROMETHEUS),
    ],
)
def test_who_asks_for_open_metrics_gets_it(accept: str, expected: Format) -> None:
    """And everybody else what everybody can read."""
    assert choose_format(accept) is expected
