"""What a test of reliability has seen: printed, and kept for `docs/reliability.md` by `make reliability`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.faults.load import Load

# Where `make reliability` wants the figures; otherwise they are only printed.
_RECORDS = os.environ.get("RELIABILITY_RECORDS")
PROCESSES, KUBERNETES = "processes", "kubernetes"


def keep_record(
    request: pytest.FixtureRequest, loads: Sequence[Load], seen: str, *, table: str = PROCESSES, n_held: int = 0
) -> None:
    """
    Keep what was seen.

    Parameters
    ----------
    request : pytest.FixtureRequest
        Of the test, whose first line says what happened.
    loads : sequence of Load
        Callers who asked at the same time.
    seen : str
    table : str
        `PROCESSES` or `KUBERNETES`.
    n_held : int
        Requests that were lost because what held them was killed.
    """
    figures = {
        "test": request.node.name,
        "table": table,
        "fault": request.function.__doc__,
        "requests_per_s": round(sum(load.n_sent / load.took_s for load in loads)),
        "n_sent": sum(load.n_sent for load in loads),
        "n_failed": sum(len(load.failures) for load in loads),
        "n_held": n_held,
        "n_wrong": sum(load.n_wrong for load in loads),
        "seen": seen,
    }
    print(json.dumps(figures))
    if _RECORDS:
        Path(_RECORDS, f"{request.node.name}.json").write_text(json.dumps(figures), encoding="utf-8")
