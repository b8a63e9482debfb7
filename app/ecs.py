"""
Log lines: one JSON object a line, in the fields of the Elastic Common Schema (ECS).

Every line has `@timestamp`, `log.level`, `message`, `ecs.version`, `service.*` and
`event.dataset`; what is treeserve's own stands under `treeserve.*`.
"""

from __future__ import annotations

import logging
import re
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from app import __version__

ECS_VERSION = "8.11.0"
SERVICE_DATASET = "treeserve.service"
PREDICTION_DATASET = "treeserve.prediction"
FEEDBACK_DATASET = "treeserve.feedback"

# What OpenTelemetry reads of a later version's, which may be longer than this one's 55.
_MAX_TRACEPARENT = 512
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


class EcsFormatter(JsonFormatter):
    """
    Writes a log record as one ECS line.

    A record's `extra={"ecs": {...}}` are further fields, by their dotted ECS names; `event.dataset`
    is `treeserve.service` unless they say otherwise.
    """

    def __init__(self) -> None:
        super().__init__(json_ensure_ascii=True)

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        line: dict[str, Any] = {
            "@timestamp": timestamp(record.created),
            **static_fields(record.levelname.lower(), record.getMessage(), record.name),
            "event.dataset": SERVICE_DATASET,
            "process.pid": record.process,
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error.type"] = type(error).__name__
            line["error.message"] = str(error)
            line["error.stack_trace"] = "".join(traceback.format_exception(error))
        line.update(getattr(record, "ecs", {}))
        return self.serialize_log_record(line)


def static_fields(level: str, message: str, logger: str) -> dict[str, str]:
    """The fields that every line has, whatever it says, beside `@timestamp` and `event.dataset`."""
    return {
        "log.level": level,
        "message": message,
        "ecs.version": ECS_VERSION,
        "service.name": "treeserve",
        "service.version": __version__,
        "log.logger": logger,
    }


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as ECS writes them."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return f"{_second(whole)}.{micros:06d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def trace_id(traceparent: str | None) -> str | None:
    """
    The trace id of a W3C `traceparent` header; None where it is absent or not valid.

    The rules are those of W3C Trace Context, level 1: version ff and ids of zeros are not valid,
    and version 00 ends after its flags, where a later one may go on.
    """
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None or len(found[0]) > _MAX_TRACEPARENT:
        return None
    version, trace, parent, more = found.groups()
    if version == "ff" or (version == "00" and more) or set(trace) == {"0"} or set(parent) == {"0"}:
        return None
    return trace
