"""``python -m model outcomes``: feedback and predictions in, outcomes and how good the predictions were out."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from os.path import exists
from pathlib import Path
from typing import Any

from app.ecs import FEEDBACK_DATASET
from model.errors import LogUnreadable, NothingObserved, ParameterInvalid
from model.observed.live_figures import LiveFigures, measure
from model.observed.logs import LogStreams, open_logs
from model.observed.period import Period
from model.plain_table import write_table

_FIGURES = ("auc", "log_loss", "accuracy", "brier", "calibration_error", "mae", "rmse")


def run(options: Namespace) -> int:
    """
    Do what the options ask for.

    Returns
    -------
    int
        0.

    Raises
    ------
    LogUnreadable, NothingObserved, ParameterInvalid
    """
    period = Period(options.since, options.until)
    if options.output and options.output.exists() and any(map(options.output.samefile, filter(exists, options.logs))):
        raise ParameterInvalid(f"{options.output} is one of the logs that are read, and would be replaced")
    logs = open_logs(options)
    feedback, joined = logs.join_outcomes(period)
    if not feedback.outcomes:
        raise NothingObserved(f"there is no {FEEDBACK_DATASET} line ({period}); POST /feedback writes them")
    written = {}
    if isinstance(logs, LogStreams):
        written = dict(zip(("new", "changed"), logs.index.write_outcomes(joined.lines), strict=True))
    if options.output:
        _write_lines(options.output, joined.lines)
    counts = {
        "joined": len(joined.lines),
        "without_prediction": joined.n_unpredicted,
        "repeated": feedback.n_repeated,
        "contradicting": feedback.n_contradicting,
        "before_prediction": joined.n_early,
        **written,
    }
    figures = measure(joined.lines)
    if options.json:
        print(json.dumps({"outcomes": counts, "figures": [asdict(of_week) for of_week in figures]}))
    else:
        print("  ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items()))
        print(_write_figures(figures))
    return 0


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)
    except OSError as error:
        raise LogUnreadable(f"{path} cannot be written: {error.strerror}") from None


def _write_figures(figures: Sequence[LiveFigures]) -> str:
    names = [name for name in _FIGURES if any(name in of_week.figures for of_week in figures)]
    header = [
        "model",
        "version",
        "",
        "week of",
        "outcomes",
        "mean",
        "predicted",
        *(name.replace("_", " ") for name in names),
    ]
    rows = [
        [
            of_week.model,
            of_week.version,
            of_week.role,
            of_week.week or "(all)",
            f"{of_week.n_outcomes:,}",
            *("" if mean is None else f"{mean:.4g}" for mean in (of_week.mean_outcome, of_week.mean_prediction)),
            *(f"{of_week.figures[name]:.4f}" if name in of_week.figures else "" for name in names),
        ]
        for of_week in figures
    ]
    return write_table(header, rows)
