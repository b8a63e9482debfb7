"""Metrics live on the registry that is handed in, under names that dashboards depend on."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics


@pytest.mark.parametrize(
    ("name", "labels", "kind"),
    [
        ("treeserve_requests", ["route", "status"], "counter"),
        ("treeserve_request_duration_seconds", ["route"], "histogram"),
        ("treeserve_inference_duration_seconds", [], "histogram"),
        ("treeserve_rows", [], "counter"),
        ("treeserve_rows_per_request", [], "histogram"),
        ("treeserve_requests_in_flight", [], "gauge"),
        ("treeserve_unknown_categories", [], "counter"),
        ("treeserve_model_info", ["name", "version", "alias", "run_id"], "gauge"),
        ("treeserve_model_load_duration_seconds", [], "gauge"),
        ("treeserve_kernel_disagrees", [], "gauge"),
        ("treeserve_payload_written", [], "counter"),
        ("treeserve_payload_dropped", ["reason"], "counter"),
    ],
)
def test_a_metric_keeps_its_name_its_kind_and_its_labels(name: str, labels: list[str], kind: str) -> None:
    """Boards, rules and alerts of others stand on them."""
    [metric] = [one for one in vars(Metrics(CollectorRegistry())).values() if getattr(one, "_name", None) == name]
    assert (list(metric._labelnames), metric._type) == (labels, kind)


def test_two_services_in_one_process_count_apart() -> None:
    """Nothing is global, so an embedding application or a test reads its own."""
    first, second = CollectorRegistry(), CollectorRegistry()
    Metrics(first).rows.inc(3)
    Metrics(second).rows.inc(4)
    assert first.get_sample_value("treeserve_rows_total") == 3
    assert second.get_sample_value("treeserve_rows_total") == 4


def test_what_is_exposed_is_prometheus_text_with_every_reason() -> None:
    """A scraper reads it, and each family says why it exists."""
    metrics = Metrics(CollectorRegistry())
    metrics.payload_dropped.labels("queue_full").inc(2)
    metrics.request_duration.labels("/predict").observe(0.003)
    families = {family.name: family for family in text_string_to_metric_families(metrics.expose().decode())}
    assert all(family.documentation.endswith(".") or "_created" in name for name, family in families.items())
    dropped = {s.labels["reason"]: s.value for s in families["treeserve_payload_dropped"].samples if "_total" in s.name}
    assert dropped == {"queue_full": 2, "write_failed": 0, "closed": 0}
    buckets = {
        sample.labels["le"]: sample.value
        for sample in families["treeserve_request_duration_seconds"].samples
        if sample.name.endswith("_bucket")
    }
    assert (buckets["0.0025"], buckets["0.005"], buckets["+Inf"]) == (0, 1, 1)
