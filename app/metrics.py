"""
Prometheus metrics of the service, each with why it exists.

The collector registry is handed in: nothing is global, and a test reads its own samples.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
)

from app.errors import model_errors
from app.exposition import Family, take_family
from app.model_version import Role
from app.tallies import Spreads, Tally

# 100 µs to 10 s, about three a decade: a single row answers in the first ones, a batch in the last.
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# The event loop's clock has milliseconds.
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Of probabilities, and relative to the larger of two values; the first bucket is for those that are the same.
_DIFFERENCES = (0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

# The route of what is refused before anybody looks at its path: what is no HTTP, or not clearly so.
UNPARSED = "unparsed"


class DropReason(StrEnum):
    """Why a line of the payload log is lost."""

    QUEUE_FULL = "queue_full"
    WRITE_FAILED = "write_failed"
    CLOSED = "closed"
    NO_MEMORY = "no_memory"
    NOT_MADE = "not_made"


def make_collectors() -> CollectorRegistry:
    """Where the metrics of this process are kept, its own (memory, processor time, Python) among them."""
    collectors = CollectorRegistry()
    ProcessCollector(registry=collectors)
    PlatformCollector(registry=collectors)
    return collectors


class ShadowDropReason(StrEnum):
    """Why an instance is not predicted by the version that does not answer it."""

    QUEUE_FULL = "queue_full"
    NOT_COMPARABLE = "not_comparable"
    FAILED = "failed"
    CLOSED = "closed"


class Metrics:
    """
    Every metric, on one collector registry.

    Attributes
    ----------
    registry : CollectorRegistry
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._sources: list[Callable[[], list[Family]]] = []
        # Changed with every request, by the event loop's thread alone.
        self.requests = Tally(
            "treeserve_requests", "Requests answered: traffic and errors.", ["route", "status"], registry
        )
        self.request_duration = Spreads(
            "treeserve_request_duration_seconds",
            "From the request to its answer, as the service sees it: what a caller waits, without the network.",
            ["route"],
            _SECONDS,
            registry,
        )
        self.inference_duration = Spreads(
            "treeserve_inference_duration_seconds",
            "The forest alone, without reading and writing JSON: where the time goes.",
            [],
            _SECONDS,
            registry,
        )
        self.rows = Tally("treeserve_rows", "Instances predicted: the work done.", [], registry)
        self.answered_rows = Tally(
            "treeserve_answered_rows",
            "Instances that a model version answered, as champion or as challenger: who answers how much.",
            ["role", "version"],
            registry,
        )
        self.rows_per_request = Spreads(
            "treeserve_rows_per_request", "Instances in one request: how callers batch.", [], _ROWS, registry
        )
        self.requests_in_flight = Tally(
            "treeserve_requests_in_flight",
            "Requests received and not yet answered: saturation.",
            [],
            registry,
            is_gauge=True,
        )
        self.loop_lag = Spreads(
            "treeserve_event_loop_lag_seconds",
            "How late the event loop comes to a timer, four times a second: how long requests wait in their sockets.",
            [],
            _LAG_SECONDS,
            registry,
        )
        # Changed by the shadow's thread alone.
        self.disagreement = Spreads(
            "treeserve_challenger_disagreement",
            "Difference of an instance's predictions by champion and challenger, relative to the larger one unless "
            "they are probabilities: what a promotion would change.",
            ["champion", "challenger"],
            _DIFFERENCES,
            registry,
        )
        self.decisions = Tally(
            "treeserve_challenger_decisions",
            "Instances whose predictions by champion and challenger lead to the same decision, or do not.",
            ["champion", "challenger", "agree"],
            registry,
        )
        # Changed seldom, or by other threads.
        self.unknown_categories = Counter(
            "treeserve_unknown_categories",
            "Unknown categories predicted as missing values: the model is growing old.",
            registry=registry,
        )
        self.model_info = Gauge(
            "treeserve_model_info",
            "1 for the model version that serves in a role: which version answered when.",
            ["role", "name", "version", "alias", "run_id"],
            registry=registry,
        )
        self.swaps = Counter(
            "treeserve_swaps", "Model versions that took another one's place: promotions.", ["role"], registry=registry
        )
        self.rejections = Counter(
            "treeserve_rejections",
            "Tries to serve what the registry names that failed, by the reason: promotions in vain.",
            ["role", "reason"],
            registry=registry,
        )
        for role in Role:
            self.swaps.labels(role)
            for error in model_errors():
                self.rejections.labels(role, error.__name__)
        self.registry_checks = Counter(
            "treeserve_registry_checks", "Questions to the registry: does it answer.", ["outcome"], registry=registry
        )
        for outcome in ("answered", "failed"):
            self.registry_checks.labels(outcome)
        self.workers_lost = Counter(
            "treeserve_workers_lost",
            "Workers that ended without having been told to, and were replaced: crashes and kills.",
            registry=registry,
        )
        self.staleness = Gauge(
            "treeserve_registry_staleness_seconds",
            "Since the registry last said that what serves is what it names: whether promotions arrive.",
            registry=registry,
        )
        self.model_load_duration = Gauge(
            "treeserve_model_load_duration_seconds",
            "From asking the registry to serving what it names, with download and verification: the cost of a swap.",
            registry=registry,
        )
        self.kernel_disagrees = Gauge(
            "treeserve_kernel_disagrees",
            "1 if the kernel's answers differed from XGBoost's, which answers instead: slow, and a bug to report.",
            registry=registry,
        )
        self.payload_written = Counter(
            "treeserve_payload_written",
            "Instances and outcomes whose lines were written into the payload log.",
            registry=registry,
        )
        self.payload_dropped = Counter(
            "treeserve_payload_dropped",
            "Instances and outcomes whose lines of the payload log are lost, by reason: what Kibana does not show.",
            ["reason"],
            registry=registry,
        )
        for reason in DropReason:
            self.payload_dropped.labels(reason)  # 0 from the start: a rate needs a sample before the first loss

        self.shadow_dropped = Counter(
            "treeserve_shadow_dropped",
            "Instances answered by one of champion and challenger and not predicted by the other, by reason.",
            ["reason"],
            registry=registry,
        )
        for shadow_reason in ShadowDropReason:
            self.shadow_dropped.labels(shadow_reason)
        self.canary_fallbacks = Counter(
            "treeserve_canary_fallbacks",
            "Requests meant for the challenger that the champion answered, for the challenger could not.",
            registry=registry,
        )

    def add_source(self, source: Callable[[], list[Family]]) -> None:
        """Have metrics read from elsewhere too, where the client library would take too long for them."""
        self._sources.append(source)

    def take(self) -> list[Family]:
        """All metrics of this process, as they are now; on the event loop's thread."""
        families = [take_family(metric) for metric in self.registry.collect()]
        for source in self._sources:
            families += source()
        return families
