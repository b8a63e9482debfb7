"""
What the Grafana dashboard shows, row by row: what each panel is for, and its PromQL.

`$job`, `$version` and `$feature` are chosen on the dashboard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_J = 'job=~"$job"'
_V = 'version=~"$version"'
_PREDICT = f'{_J},route="/predict"'

# Name, what it lists, and whether several may be chosen.
VARIABLES = [
    ("job", "label_values(treeserve_requests_in_flight, job)", True),
    ("version", f"label_values(treeserve_model_info{{{_J}}}, version)", True),
    ("feature", f"label_values(treeserve_feature_reference_ratio{{{_J},{_V}}}, feature)", False),
]
# A mark on every panel.
SWAPS = f"sum by (role) (increase(treeserve_swaps_total{{{_J}}}[$__rate_interval])) > 0"


@dataclass(frozen=True)
class Panel:
    """
    One panel.

    Attributes
    ----------
    title, text : str
    queries : sequence of (str, str)
        PromQL and the legend of each.
    unit : str
        As Grafana calls it.
    width : int
        Of 24.
    kind : {"timeseries", "stat", "bargauge", "table"}
        The first shows a range, the others what is now.
    red_from : float or None
        From where a value is drawn in red.
    """

    title: str
    text: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    width: int = 8
    kind: str = "timeseries"
    red_from: float | None = None
    has_exemplars: bool = False


def quantile(share: float, histogram: str, selector: str = _J, by: str = "") -> str:
    """A quantile of a histogram's last minutes, over all processes."""
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({histogram}_bucket{{{selector}}}[$__rate_interval])))"


def rate(counter: str, by: str = "", selector: str = _J) -> str:
    """How much a counter rises in a second, over all processes."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({counter}{{{selector}}}[$__rate_interval]))"


def quantiles(histogram: str, selector: str = _J) -> list[tuple[str, str]]:
    """The three that are looked at."""
    return [(quantile(share, histogram, selector), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)]


ROWS: list[tuple[str, list[Panel]]] = [
    ("Now", [
        Panel("Processes that serve", "Those that have a champion.",
              [(f'count(treeserve_model_info{{{_J},role="champion"}})', "")], width=4, kind="stat"),
        Panel("Requests to predict", "Whatever they were answered.",
              [(rate("treeserve_requests_total", selector=_PREDICT), "")], "reqps", 4, "stat"),
        Panel("Failed", "Requests to predict answered with 5xx, of all in five minutes; 0.1 % is the promise.",
              [(f"treeserve:predict_errors:ratio_rate5m{{{_J}}}", "{{job}}")],
              "percentunit", 4, "stat", red_from=0.001),
        Panel("p99", "Of requests to predict in five minutes; 50 ms is the promise.",
              [(f"treeserve:predict_duration_seconds:p99_5m{{{_J}}}", "{{job}}")], "s", 4, "stat", red_from=0.05),
        Panel("Unconfirmed for", "Since the registry last said that what serves is what it names; the worst process.",
              [(f"max(treeserve_registry_staleness_seconds{{{_J}}})", "")], "s", 4, "stat", red_from=300),
        Panel("Alerts that fire", "docs/operations.md has a section for each.",
              [('count(ALERTS{alertname=~"Treeserve.*",alertstate="firing",job=~"$job|"}) or vector(0)', "")],
              width=4, kind="stat", red_from=1),
    ]),
    ("Traffic and errors", [
        Panel("Requests to predict, by status", "499: the caller went away. 503: refused, not ready or ending.",
              [(rate("treeserve_requests_total", "status", _PREDICT), "{{status}}")], "reqps"),
        Panel("Failed, of all requests to predict", "The windows that the alert on the error budget looks at.",
              [(f"treeserve:predict_errors:ratio_rate{window}{{{_J}}}", f"{window} {{{{job}}}}")
               for window in ("5m", "30m", "1h", "6h")],
              "percentunit", red_from=0.001),
        Panel("Other requests, by route", "Probes, scrapes, documentation; `other` is whatever is no route.",
              [(rate("treeserve_requests_total", "route, status", f'{_J},route!="/predict"'),
                "{{route}} {{status}}")], "reqps"),
        Panel("Instances predicted, by version", "The work done, and who does it.",
              [(rate("treeserve_answered_rows_total", "role, version", f"{_J},{_V}"), "{{role}} {{version}}")],
              "rowsps"),
        Panel("Instances in a request", "How callers batch.", quantiles("treeserve_rows_per_request")),
        Panel("Unknown categories", "Predicted as missing values: the model is growing old.",
              [(rate("treeserve_unknown_categories_total"), "a second")]),
    ]),
    ("Latency", [
        Panel("Requests to predict take", "As the service sees them. Each dot is a request that brought a trace.",
              quantiles("treeserve_request_duration_seconds", _PREDICT), "s", red_from=0.05, has_exemplars=True),
        Panel("The forest alone", "Without reading and writing JSON.",
              quantiles("treeserve_inference_duration_seconds"), "s"),
        Panel("p99 by route", "Of all requests.",
              [(quantile(0.99, "treeserve_request_duration_seconds", _J, "route"), "{{route}}")], "s"),
    ]),
    ("Saturation", [
        Panel("Requests in flight", "Received and not yet answered.",
              [(f"treeserve_requests_in_flight{{{_J}}}", "{{instance}}")]),
        Panel("Event loop lag", "How late the event loop comes to a timer: how long requests wait in their sockets.",
              quantiles("treeserve_event_loop_lag_seconds"), "s"),
        Panel("Workers lost", "Ended without having been told to, and replaced.",
              [(f"increase(treeserve_workers_lost_total{{{_J}}}[$__rate_interval])", "{{instance}}")]),
        Panel("Processor", "Cores in use, by all processes of an instance.",
              [(f"rate(process_cpu_seconds_total{{{_J}}}[$__rate_interval])", "{{instance}}")], width=12),
        Panel("Memory", "Resident, of all processes of an instance.",
              [(f"process_resident_memory_bytes{{{_J}}}", "{{instance}}")], "bytes", 12),
    ]),
    ("Registry and model versions", [
        Panel("What serves", "Processes by the model version that they have in each role.",
              [(f"count by (role, name, version, alias, run_id) (treeserve_model_info{{{_J}}})", "")],
              width=12, kind="table"),
        Panel("Versions over time", "Processes that have it.",
              [(f"count by (role, version) (treeserve_model_info{{{_J},{_V}}})", "{{role}} {{version}}")], width=12),
        Panel("Swaps and rejections", "Promotions, and those in vain by their reason.",
              [(f"sum by (role) (increase(treeserve_swaps_total{{{_J}}}[$__rate_interval]))", "{{role}} swapped"),
               (f"sum by (role, reason) (increase(treeserve_rejections_total{{{_J}}}[$__rate_interval])) > 0",
                "{{role}} rejected: {{reason}}")]),
        Panel("Unconfirmed for, by process", "Since the registry last said that what serves is what it names.",
              [(f"treeserve_registry_staleness_seconds{{{_J}}}", "{{instance}}")], "s", red_from=300),
        Panel("Questions to the registry", "Whether it answers.",
              [(rate("treeserve_registry_checks_total", "outcome"), "{{outcome}}")], "reqps"),
        Panel("The last swap took", "From asking the registry to serving, with download and verification.",
              [(f"treeserve_model_load_duration_seconds{{{_J}}}", "{{instance}}")], "s", 12),
        Panel("The kernel differs from XGBoost", "1: XGBoost answers instead, slowly; a bug to report.",
              [(f"treeserve_kernel_disagrees{{{_J}}}", "{{instance}}")], width=12, red_from=1),
    ]),
    ("Payload log", [
        Panel("Written", "Instances whose lines were written.",
              [(rate("treeserve_payload_written_total"), "instances")], "rowsps", 12),
        Panel("Lost, by reason", "What Kibana does not show; docs/operations.md says what each means.",
              [(rate("treeserve_payload_dropped_total", "reason"), "{{reason}}")], "rowsps", 12, red_from=1e-9),
    ]),
    ("Drift", [
        Panel("Features", "Population stability index of a day against training; 0.1 is slight, 0.25 large.",
              [(f"treeserve:feature_drift:psi1d{{{_J},{_V}}}", "{{feature}} ({{version}})")], width=12, red_from=0.25),
        Panel("Predictions", "The same of what was answered.",
              [(f"treeserve:prediction_drift:psi1d{{{_J},{_V}}}", "{{version}}")], width=12, red_from=0.25),
        Panel("$feature: of what was asked in a day", "The share of values in each bin of training.",
              [(f'treeserve:feature_observations:share1d{{feature="$feature",{_J},{_V}}}', "{{bin}}")],
              "percentunit", 12, "bargauge"),
        Panel("$feature: of the training rows", "The share that the one beside is compared with.",
              [(f'treeserve:feature_reference:share{{feature="$feature",{_J},{_V}}}', "{{bin}}")],
              "percentunit", 12, "bargauge"),
        Panel("Predictions: of what was answered in a day", "The share of predictions in each bin of training.",
              [(f"treeserve:prediction_observations:share1d{{{_J},{_V}}}", "{{bin}}")], "percentunit", 12, "bargauge"),
        Panel("Predictions: of the training rows", "The share that the one beside is compared with.",
              [(f"treeserve:prediction_reference:share{{{_J},{_V}}}", "{{bin}}")], "percentunit", 12, "bargauge"),
    ]),
    ("Challenger", [
        Panel("Decisions that would be others", "By each version's own threshold, or the likeliest class.",
              [('sum by (champion, challenger) (rate(treeserve_challenger_decisions_total'
                f'{{{_J},agree="false"}}[$__rate_interval])) / sum by (champion, challenger) '
                f"(rate(treeserve_challenger_decisions_total{{{_J}}}[$__rate_interval]))",
                "{{champion}} against {{challenger}}")], "percentunit", red_from=0.05),
        Panel("Difference of predictions", "Of probabilities the difference, of values relative to the larger one.",
              quantiles("treeserve_challenger_disagreement")),
        Panel("Answered by the other, and not compared", "By reason; and canaries that the champion answered.",
              [(rate("treeserve_shadow_dropped_total", "reason"), "{{reason}}"),
               (rate("treeserve_canary_fallbacks_total"), "canaries that fell back")], "rowsps"),
    ]),
]  # fmt: skip
