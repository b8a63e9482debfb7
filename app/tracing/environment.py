"""
Whether traces are asked for, by OpenTelemetry's own variables.

What they need is the extra `otel`: nothing of it is imported before it is known that they are wanted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.tracing.spans import Tracing

log = logging.getLogger(__name__)

_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_PROTOCOL = "http/protobuf"


def open_tracing(environ: Mapping[str, str]) -> Tracing | None:
    """
    Begin to trace in this process, whose threads send what is traced; None where it is not asked for, or cannot be.

    The SDK reads the rest of its variables from `os.environ` itself.
    """
    if not _is_wanted(environ) or find_trouble(environ):
        return None
    from app.tracing.spans import Tracing

    try:
        return Tracing()
    except Exception as error:  # whatever the SDK says of what its variables say
        log.warning("a variable OTEL_… cannot be used, so there are no traces: %s", error)
        return None


def find_trouble(environ: Mapping[str, str]) -> str | None:
    """Why traces that are asked for cannot be had, and what to do; None where all is well or nobody asks."""
    if not _is_wanted(environ):
        return None
    exporter = environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter != "otlp":
        return f"OTEL_TRACES_EXPORTER={exporter}: there are no traces, for they are sent by `otlp` alone"
    protocol = _of_traces(environ, "PROTOCOL") or _PROTOCOL
    if protocol != _PROTOCOL:
        return (
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: there are no traces, for they are sent by {_PROTOCOL} alone; "
            "set it to that, and the endpoint to the collector's port for HTTP, 4318 most often"
        )
    if not _is_installed():
        return (
            "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces and what sends them is not installed, so there are none: "
            "pip install 'treeserve[otel]'"
        )
    return None


def _is_wanted(environ: Mapping[str, str]) -> bool:
    return (
        bool(_of_traces(environ, "ENDPOINT"))
        and environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"
        and environ.get("OTEL_TRACES_EXPORTER") != "none"
    )


def _of_traces(environ: Mapping[str, str], name: str) -> str | None:
    """A variable of the exporter's: the one for traces alone goes before the one for all signals."""
    return environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environ.get(f"OTEL_EXPORTER_OTLP_{name}")


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:  # of a package that it is in
        return False
