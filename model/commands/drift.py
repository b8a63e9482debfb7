"""``python -m model drift``: logs in, a table, JSON or a page out."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict

from model.errors import LogUnreadable
from model.observed.drift import Drift, ModelVersion, measure_drift
from model.observed.drift_report import write_report
from model.observed.logs import open_logs
from model.observed.period import Period
from model.plain_table import write_table


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
    period = Period(options.since, options.until)
    model, drifts = measure_drift(open_logs(options).profile_lines(period), options.model, options.version)
    if options.html:
        page = write_report(drifts, str(model), f"What was observed ({period})")
        try:
            options.html.write_text(page, encoding="utf-8")
        except OSError as error:
            raise LogUnreadable(f"{options.html} cannot be written: {error.strerror}") from None
    if options.json:
        columns = [{**asdict(drift), "psi": drift.psi, "verdict": drift.verdict} for drift in drifts]
        print(json.dumps({"model": model.name, "version": model.version, "columns": columns}))
    else:
        print(_write_table(model, drifts))
    return 0


def _write_table(model: ModelVersion, drifts: Sequence[Drift]) -> str:
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
    return f"{model}\n\n{write_table(header, rows)}"
