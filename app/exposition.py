"""
Metrics as text, in the two formats that Prometheus asks for.

A line's series is written once, with a gap for its value: a reference profile has thousands of them, and requests wait
while a scrape is answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST


class Format(StrEnum):
    """A format, by its content type; only OpenMetrics has exemplars."""

    PROMETHEUS = CONTENT_TYPE_PLAIN_0_0_4
    OPEN_METRICS = CONTENT_TYPE_LATEST


class Exemplar(NamedTuple):
    """One of the requests that a bucket has counted: its trace, its value, and seconds since the epoch."""

    trace_id: str
    value: float
    at_s: float


class Family(NamedTuple):
    """
    A metric with its values at one time, which JSON can carry.

    Attributes
    ----------
    name : str
        A counter's has no ``_total``.
    kind : str
        ``counter``, ``gauge`` or ``histogram``.
    text : str
        What it is for.
    values : dict of str to sequence of float
        By one or more whole lines, with a gap (``%s``) for each value; none for lines that have theirs.
    exemplars : dict of str to Exemplar
        By their line, which is alone.
    """

    name: str
    kind: str
    text: str
    values: dict[str, list[float]]
    exemplars: dict[str, Exemplar]

    @classmethod
    def from_json(cls, document: list[Any]) -> Family:
        """What another process has taken."""
        name, kind, text, values, exemplars = document
        return cls(name, kind, text, values, {line: Exemplar(*exemplar) for line, exemplar in exemplars.items()})


def choose_format(accept: str) -> Format:
    """
    The format that a caller prefers.

    Parameters
    ----------
    accept : str
        The header; of what it lists, the first that is known, for so Prometheus orders what it reads.
    """
    for listed in accept.split(","):
        kind, *parameters = (part.strip() for part in listed.split(";"))
        version = next((part for part in parameters if part.startswith("version=")), "version=1.0.0")
        if kind == "application/openmetrics-text" and version == "version=1.0.0":
            return Format.OPEN_METRICS
        if kind == "text/plain":
            break
    return Format.PROMETHEUS


def write_labels(labels: Mapping[str, str]) -> str:
    """What follows a sample's name."""
    pairs = ",".join([f'{label}="{_escape(text)}"' for label, text in labels.items()])
    return f"{{{pairs}}}" if pairs else ""


def write_gap(name: str, labels: str) -> str:
    """A sample's line, with a gap for its value."""
    return f"{name}{labels} %s\n" if "%" not in labels else f"{name}{labels.replace('%', '%%')} %s\n"


def take_family(metric: Metric) -> Family:
    """What the client library has collected, but for when each counter began: a sample more beside each."""
    values: dict[str, list[float]] = {}
    exemplars: dict[str, Exemplar] = {}
    for sample in metric.samples:
        if sample.name == f"{metric.name}_created":
            continue
        line = write_gap(sample.name, write_labels(sample.labels))
        values[line] = [sample.value]
        if found := sample.exemplar:
            exemplars[line] = Exemplar(found.labels["trace_id"], found.value, float(found.timestamp or 0))
    return Family(metric.name, metric.type, metric.documentation, values, exemplars)


def write(families: Iterable[Family], form: Format) -> bytes:
    """The whole text."""
    is_open = form is Format.OPEN_METRICS
    parts = []
    for name, kind, text, values, exemplars in families:
        shown = name if is_open or kind != "counter" else f"{name}_total"
        parts.append(f"# HELP {shown} {text}\n# TYPE {shown} {kind}\n")
        for lines, gaps in values.items():
            written = lines % tuple(gaps) if gaps else lines  # nan and inf are what both formats read too
            if is_open and lines in exemplars:
                trace_id, value, at_s = exemplars[lines]
                written = f'{written[:-1]} # {{trace_id="{trace_id}"}} {value!r} {at_s:.3f}\n'
            parts.append(written)
    if is_open:
        parts.append("# EOF\n")
    return "".join(parts).encode()


@lru_cache(1024)
def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
