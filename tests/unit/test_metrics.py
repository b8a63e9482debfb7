"""Metrics live on the registry that is handed in, under names that dashboards depend on."""

from __future__ import annotations

import time

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from app.exposition import Format, take_family, write
from app.metrics import Metrics
from app.tallies import Spreads, Tally
from tests.exposed_metrics import read_text


@pytest.mark.parametrize(
    ("name", "labels", "kind"),
    [
        ("treeserve_requests", ["route", "status"], "counter"),
        ("treeserve_request_duration_seconds", ["route"], "histogram"),
        ("treeserve_inference_duration_seconds", [], "histogram"),
        ("treeserve_rows", [], "counter"),
        ("treeserve_answered_rows", ["role", "version"], "counter"),
        ("treeserve_rows_per_request", [], "histogram"),
        ("treeserve_requests_in_flight", [], "gauge"),
        ("treeserve_unknown_categories", [], "counter"),
        ("treeserve_model_info", ["role", "name", "version", "alias", "run_id"], "gauge"),
        ("treeserve_swaps", ["role"], "counter"),
        ("treeserve_rejections", ["role", "reason"], "counter"),
        ("treeserve_registry_checks", ["outcome"], "counter"),
        ("treeserve_registry_staleness_seconds", [], "gauge"),
        ("treeserve_workers_lost", [], "counter"),
        ("treeserve_model_load_duration_seconds", [], "gauge"),
        ("treeserve_kernel_disagrees", [], "gauge"),
        ("treeserve_payload_written", [], "counter"),
        ("treeserve_payload_dropped", ["reason"], "counter"),
        ("treeserve_challenger_disagreement", ["champion", "challenger"], "histogram"),
        ("treeserve_challenger_decisions", ["champion", "challenger", "agree"], "counter"),
        ("treeserve_shadow_dropped", ["reason"], "counter"),
        ("treeserve_canary_fallbacks", [], "counter"),
    ],
)
def test_a_metric_keeps_its_name_its_kind_and_its_labels(name: str, labels: list[str], kind: str) -> None:
    """Boards, rules and alerts of others stand on them."""
    collectors = CollectorRegistry()
    metrics = Metrics(collectors)
    metrics.requests.values["/predict", "200"] += 1
    metrics.request_duration.values["/predict",].observe(0.003)
    metrics.swaps.labels("champion").inc()
    metrics.rejections.labels("champion", "ModelUnfit").inc()
    metrics.answered_rows.values["champion", "1"] += 1
    metrics.disagreement.values["1", "2"].observe(0.1)
    metrics.decisions.values["1", "2", "true"] += 1
    metrics.model_info.labels("r", "a", "1", "b", "c").set(1)
    [family] = [family for family in collectors.collect() if family.name == name]
    named = {label for sample in family.samples for label in sample.labels} - {"le"}
    assert (named, family.type) == (set(labels), kind)


def test_two_services_in_one_process_count_apart() -> None:
    """Nothing is global, so an embedding application or a test reads its own."""
    first, second = CollectorRegistry(), CollectorRegistry()
    Metrics(first).rows.values[()] += 3
    Metrics(second).rows.values[()] += 4
    assert first.get_sample_value("treeserve_rows_total") == 3
    assert second.get_sample_value("treeserve_rows_total") == 4


def test_what_is_exposed_is_prometheus_text_with_every_reason() -> None:
    """A scraper reads it, and each family says why it exists."""
    metrics = Metrics(CollectorRegistry())
    metrics.payload_dropped.labels("queue_full").inc(2)
    for seconds in (0.0025, 0.003, 11):
        metrics.request_duration.values["/predict",].observe(seconds)
    text = write(metrics.take(), Format.PROMETHEUS).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert all(family.documentation.endswith(".") for family in families.values())
    dropped = {s.labels["reason"]: s.value for s in families["treeserve_payload_dropped"].samples if "_total" in s.name}
    assert dropped == {"queue_full": 2, "write_failed": 0, "closed": 0, "no_memory": 0, "not_made": 0}
    reasons = {s.labels["reason"] for s in families["treeserve_shadow_dropped"].samples if "_total" in s.name}
    assert reasons == {"queue_full", "not_comparable", "failed", "closed"}
    samples = families["treeserve_request_duration_seconds"].samples
    buckets = {sample.labels["le"]: sample.value for sample in samples if sample.name.endswith("_bucket")}
    assert (buckets["0.001"], buckets["0.0025"], buckets["0.005"], buckets["10.0"], buckets["+Inf"]) == (0, 1, 2, 2, 3)
    totals = {sample.name.rpartition("_")[2]: sample.value for sample in samples if "le" not in sample.labels}
    assert totals == {"sum": pytest.approx(11.0055), "count": 3}


def test_many_values_are_counted_as_one_by_one() -> None:
    """A value on a bound falls into the bucket that ends there; those after an empty call too."""
    registry = CollectorRegistry()
    bounds = (0, 0.1, 1.0)
    one_by_one, at_once = (Spreads(name, "Help.", [], bounds, registry).values[()] for name in ("one", "all"))
    values = np.array([0, 0, 0.05, 0.1, 0.5, 1.0, 2.0])
    for value in values.tolist():
        one_by_one.observe(value)
    for some in (values[:0], values[:3], values[3:]):
        at_once.observe_all(some)
    found = {
        name: [registry.get_sample_value(f"{name}_bucket", {"le": le}) for le in ("0.0", "0.1", "1.0", "+Inf")]
        for name in ("one", "all")
    }
    assert found["one"] == found["all"] == [2, 4, 6, 7]
    assert registry.get_sample_value("all_sum") == registry.get_sample_value("one_sum") == pytest.approx(3.65)


def test_tallies_read_as_the_client_librarys_own() -> None:
    """The same observations, exposed in the same words."""
    own, library = CollectorRegistry(), CollectorRegistry()
    bounds = (0.1, 1.0, 10.0)
    spreads = Spreads("seconds", "Help.", ["route"], bounds, own)
    histogram = Histogram("seconds", "Help.", ["route"], registry=library, buckets=bounds)
    tally = Tally("done", "Help.", ["route"], own)
    counter = Counter("done", "Help.", ["route"], registry=library)
    for value in (0.05, 0.1, 0.5, 100.0):
        spreads.values["/x",].observe(value)
        histogram.labels("/x").observe(value)
        tally.values["/x",] += value
        counter.labels("/x").inc(value)
    assert [take_family(metric) for metric in own.collect()] == [take_family(metric) for metric in library.collect()]


def test_a_bucket_shows_the_latest_trace_that_fell_into_it() -> None:
    """In OpenMetrics alone; requests without a trace are counted and take none away."""
    metrics = Metrics(CollectorRegistry())
    duration = metrics.request_duration.values["/predict",]
    began_s = time.time()
    for value, trace_id in [(0.003, "a" * 32), (0.004, "b" * 32), (0.0045, None), (0.0005, None), (11, "c" * 32)]:
        duration.observe(value, trace_id)
    text = write(metrics.take(), Format.OPEN_METRICS).decode()
    found = {
        sample.labels["le"]: sample.exemplar
        for family in read_text(text, Format.OPEN_METRICS)
        for sample in family.samples
        if sample.exemplar
    }
    assert {le: (exemplar.labels, exemplar.value) for le, exemplar in found.items()} == {
        "0.005": ({"trace_id": "b" * 32}, 0.004),
        "+Inf": ({"trace_id": "c" * 32}, 11),
    }
    assert all(began_s - 1 <= float(exemplar.timestamp or 0) <= time.time() + 1 for exemplar in found.values())
    plain = write(metrics.take(), Format.PROMETHEUS).decode()
    assert "trace_id" not in plain
