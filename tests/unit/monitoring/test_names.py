"""What rules, dashboards and documents call metrics, labels and recorded series is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.exposed_metrics import ExposedMetric
from tests.processes import PROJECT

MONITORING = PROJECT / "monitoring"
RULES = MONITORING / "prometheus" / "rules.yml"
# Not the change log, which tells of names that are gone too.
FILES = [RULES, MONITORING / "prometheus" / "rules.test.yml", PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]
FILES += (MONITORING / "grafana").glob("*.json")
# What prometheus-adapter makes, and the service does not expose.
ADAPTER = PROJECT / "k8s" / "components" / "hpa" / "prometheus-adapter.values.yaml"
ADAPTED = {rule["name"]["as"] for rule in yaml.safe_load(ADAPTER.read_text(encoding="utf-8"))["rules"]["custom"]}
FILES += [ADAPTER]
# What Prometheus adds to every series, and its operator.
_OF_THE_TARGET = {"instance", "job", "namespace", "pod"}
_NAME = re.compile(r"(?<![:\w])treeserve_[a-z_]+\w(?![\w*])")
_MATCHERS = re.compile(r"(?<![:\w])(treeserve_\w+) ?\{([^}]*)\}")


def unknown_names(text: str, exposed: dict[str, ExposedMetric]) -> set[str]:
    """The metrics, labels of metrics, and recorded series that a text names and that do not exist."""
    series = {name for metric in exposed.values() for name in metric.series}
    labels = {name: {*metric.labels, "le", *_OF_THE_TARGET} for metric in exposed.values() for name in metric.series}
    recorded = set(re.findall(r"record: (\S+)", RULES.read_text(encoding="utf-8")))
    found = set(_NAME.findall(text)) - set(exposed) - series - ADAPTED
    found |= set(re.findall(r"(?<!urn:)treeserve:\w+:\w+", text)) - recorded
    for name, matchers in _MATCHERS.findall(text):
        if name in labels:
            found |= {f"{name}{{{label}}}" for label in re.findall(r"(\w+) ?[=!]~?", matchers)} - {
                f"{name}{{{label}}}" for label in labels[name]
            }
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_name_is_one_that_there_is(file: Path, exposed: dict[str, ExposedMetric]) -> None:
    """A panel or rule over a name that nobody exports is empty or silent for ever."""
    assert unknown_names(file.read_text(encoding="utf-8"), exposed) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum(rate(treeserve_request_total[5m]))", {"treeserve_request_total"}),
        ("`treeserve_rows`", {"treeserve_rows"}),
        ("treeserve_rows_total_bucket", {"treeserve_rows_total_bucket"}),
        ('treeserve_requests_total{code="200"}', {"treeserve_requests_total{code}"}),
        ('treeserve_requests_total{job=~"$job", route!~"a", stat="2"}', {"treeserve_requests_total{stat}"}),
        ("treeserve:feature_drift:psi7d > 1", {"treeserve:feature_drift:psi7d"}),
        ("treeserve_request_duration_seconds_bucket and treeserve:feature_drift:psi1d", set()),
    ],
)
def test_a_name_that_there_is_not_is_found_out(
    text: str, expected: set[str], exposed: dict[str, ExposedMetric]
) -> None:
    """Or the test above would prove nothing."""
    assert unknown_names(text, exposed) == expected


def test_every_recorded_series_is_used() -> None:
    """By another rule, an alert, a dashboard or a document."""
    rules = [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    used = "\n".join(
        [str(rule["expr"]) for rule in rules]
        + [file.read_text(encoding="utf-8") for file in FILES if not file.name.startswith("rules")]
    )
    assert {rule["record"] for rule in rules if "record" in rule} <= set(
        re.findall(r"(?<!urn:)treeserve:\w+:\w+", used)
    )
