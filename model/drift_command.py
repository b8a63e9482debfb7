"""``python -m model drift``: logs in, a table, JSON or a page out."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict

from app.observed.bins import PROFILE_DATASET
from model.drift import Drift, Period, measure_drift
from model.drift_report import write_report
from model.errors import LogUnreadable
from model.log_lines import LogReader


def run(options: Namespace) -> int:
    """
    Do what the options ask for.

    Returns
    -------
    int
        0; drift is no failure.

    Raises
    ------
    LogUnreadable, NothingObserved
    """
    reader = LogReader(options.logs)
    period = Period(options.since, options.until)
    version, drifts = measure_drift(reader.read(PROFILE_DATASET), options.version, period)
    if reader.n_strange:
        told = f"{reader.n_strange} lines are no JSON objects and were left out, the first in {reader.first_strange}"
        print(f"note: {told}", file=sys.stderr)
    if options.html:
        try:
            options.html.write_text(write_report(drifts, f"version {version}", _say(period)), encoding="utf-8")
        except OSError as error:
            raise LogUnreadable(f"{options.html} cannot be written: {error.strerror}") from None
    if options.json:
        columns = [{**asdict(drift), "psi": drift.psi, "verdict": drift.verdict} for drift in drifts]
        print(json.dumps({"version": version, "columns": columns}))
    else:
        print(_write_table(version, drifts))
    return 0


def _say(period: Period) -> str:
    since = f"since {period.since.isoformat()}" if period.since else ""
    until = f"until {period.until.isoformat()}" if period.until else ""
    return " ".join(filter(None, ["What was observed", since, until])) if since or until else "All that the logs have"


def _write_table(version: str, drifts: Sequence[Drift]) -> str:
    header = ("feature", "PSI", "drift", "values", "what changed most")
    rows = [
        (
            "(the prediction)" if drift.kind == "prediction" else drift.name,
            f"{drift.psi:.3f}",
            drift.verdict,
            f"{drift.n_observed:,}",
            drift.widest,
        )
        for drift in drifts
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join([f"version {version}", "", *lines])
