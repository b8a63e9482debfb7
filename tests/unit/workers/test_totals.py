"""What several processes count is added up as if one had counted it."""

from __future__ import annotations

import json

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from app.exposition import Family, Format, write
from app.metrics import Metrics
from app.workers.totals import LastTold, add_up, drop_forgotten
from tests.exposed_metrics import read_text


def counted(n: int, version: str = "7") -> list[Family]:
    """The metrics of a process that has answered `n` requests, each in `n` milliseconds, as they go over the line."""
    collectors = CollectorRegistry()
    metrics = Metrics(collectors)
    for _ in range(n):
        metrics.requests.values["/predict", "200"] += 1
        metrics.request_duration.values["/predict",].observe(n / 1000)
    metrics.requests_in_flight.values[()] = n
    metrics.staleness.set(n)
    metrics.model_info.labels("champion", "m", version, "a", "r").set(1)
    metrics.payload_dropped.labels("closed").inc(n)
    return over_the_line(metrics)


def over_the_line(metrics: Metrics) -> list[Family]:
    """What the supervisor hears of a process's metrics."""
    return [Family.from_json(family) for family in json.loads(json.dumps(metrics.take()))]


def sample(families: list[Family], name: str, **labels: str) -> float | None:
    """One sample, as Prometheus reads it."""
    text = write(families, Format.PROMETHEUS).decode()
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


def test_counters_and_histograms_are_added_up_and_gauges_are_the_largest() -> None:
    """Labels apart; requests in flight are added up too."""
    totals = add_up([counted(2), counted(3)])
    assert sample(totals, "treeserve_requests_total", status="200") == 5
    assert sample(totals, "treeserve_request_duration_seconds_count") == 5
    assert sample(totals, "treeserve_request_duration_seconds_sum") == pytest.approx(2 * 0.002 + 3 * 0.003)
    assert sample(totals, "treeserve_request_duration_seconds_bucket", le="0.0025") == 2
    assert sample(totals, "treeserve_payload_dropped_total", reason="closed") == 5
    assert sample(totals, "treeserve_requests_in_flight") == 5
    assert sample(totals, "treeserve_registry_staleness_seconds") == 3
    assert sample(totals, "treeserve_model_info", version="7") == 1


def test_versions_are_told_apart() -> None:
    """In the moment of a swap one worker may be ahead of another."""
    totals = add_up([counted(1, "7"), counted(1, "8")])
    assert (
        sample(totals, "treeserve_model_info", version="7"),
        sample(totals, "treeserve_model_info", version="8"),
    ) == (
        1,
        1,
    )


def test_what_a_process_that_is_gone_has_counted_stays_and_its_gauges_do_not() -> None:
    """A counter that falls is a restart to Prometheus."""
    departed = add_up([[], counted(4)], are_gone=True)
    departed = add_up([departed, counted(1)], are_gone=True)
    totals = add_up([departed, counted(2)])
    assert sample(totals, "treeserve_requests_total", status="200") == 7
    assert sample(totals, "treeserve_requests_in_flight") == 2
    assert sample(departed, "treeserve_model_info", version="7") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("process_start_time_seconds", 1.0), ("process_resident_memory_bytes", 3.0), ("process_max_fds", 2.0)],
)
def test_the_processes_own_gauges_make_sense(name: str, expected: float) -> None:
    """They are as old as the oldest, and have as much memory as all."""

    def process(value: float) -> list[Family]:
        return [Family(name, "gauge", "x", {f"{name} %s\n": [value]}, {})]

    assert sample(add_up([process(2.0), process(1.0)]), name) == expected


def test_the_text_is_what_one_process_would_write() -> None:
    """Names, help and types included."""
    collectors = CollectorRegistry()
    metrics = Metrics(collectors)
    metrics.requests.values["/predict", "200"] += 1
    for form in Format:
        assert write(add_up([over_the_line(metrics)]), form) == write(metrics.take(), form)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_several_processes_a_bucket_shows_the_latest_trace(order: tuple[int, ...]) -> None:
    """Whichever of them tells first; also that of one that is gone."""
    processes = [Metrics(CollectorRegistry()) for _ in range(3)]
    for number, metrics in enumerate(processes):
        metrics.request_duration.values["/predict",].observe(0.003, f"{number:032x}")
    processes[0].request_duration.values["/predict",].observe(2, "f" * 32)
    first, second, gone = (over_the_line(processes[number]) for number in order)
    totals = add_up([add_up([gone], are_gone=True), first, second])
    text = write(totals, Format.OPEN_METRICS).decode()
    found = {
        sample.labels["le"]: sample.exemplar.labels["trace_id"]
        for family in read_text(text, Format.OPEN_METRICS)
        for sample in family.samples
        if sample.exemplar
    }
    assert found == {"0.005": f"{2:032x}", "2.5": "f" * 32}


def observed(version: str, n: int) -> Family:
    """What a process has observed of a version's predictions."""
    line = f'treeserve_prediction_observations_total{{version="{version}"}} %s\n'
    return Family("treeserve_prediction_observations", "counter", "Predictions.", {line: [float(n)]}, {})


def test_what_nobody_serves_any_more_is_forgotten_with_those_who_counted_it() -> None:
    """Or a promoted version's predecessor would be left with the counts of the dead alone, for ever."""
    gone = [*counted(2), observed("7", 100)]
    served = add_up([[observed("7", 5)], drop_forgotten(gone, [observed("7", 5)])])
    assert sample(served, "treeserve_prediction_observations_total", version="7") == 105
    kept = drop_forgotten(gone, [observed("8", 5)])
    assert sample(kept, "treeserve_prediction_observations_total", version="7") is None
    assert sample(kept, "treeserve_requests_total", status="200") == 2


def test_what_only_grows_is_never_told_to_be_less() -> None:
    """Sums of floats differ in another order, and Prometheus takes the smallest bit less for counts begun anew."""
    parts = [0.1, 0.2, 0.3]
    one, other = ([_seconds(value) for value in order] for order in (parts, parts[::-1]))
    first, second = add_up([[family] for family in one]), add_up([[family] for family in other])
    assert sample(first, "seconds_total") != sample(second, "seconds_total")
    told = LastTold()
    texts = [write(told.hold(totals), Format.PROMETHEUS) for totals in (first, second, first)]
    assert len(set(texts)) == 1
    assert sample(told.hold(add_up([first, second])), "seconds_total") == pytest.approx(1.2)


def _seconds(value: float) -> Family:
    return Family("seconds", "counter", "Time.", {"seconds_total %s\n": [value]}, {})
