"""``python -m model outcomes``: feedback and predictions in, outcomes and how good the predictions were out."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.ecs import FEEDBACK_DATASET, PREDICTION_DATASET
from model.errors import LogUnreadable, NothingObserved, ParameterInvalid
from model.live_figures import LiveFigures, measure
from model.log_lines import STANDARD_INPUT, LogReader
from model.outcomes import Feedback, Joined, join, settle
from model.period import Period
from model.plain_table import write_table

_FIGURES = ("auc", "brier", "calibration_error", "mae", "rmse")


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
    if options.elasticsearch:
        feedback, joined, written = _join_index(options.elasticsearch, period)
    else:
        feedback, joined = _join_files(options.logs, period)
        written = {}
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


def _join_files(logs: Sequence[str], period: Period) -> tuple[Feedback, Joined]:
    if STANDARD_INPUT in logs:
        raise ParameterInvalid("the logs are read twice, which standard input cannot be; write it into a file first")
    reader = LogReader(logs)
    feedback = _check(settle(reader.read(FEEDBACK_DATASET, period)), period)
    reader.tell_strange()
    return feedback, join(feedback, LogReader(logs).read(PREDICTION_DATASET))


def _join_index(url: str, period: Period) -> tuple[Feedback, Joined, dict[str, int]]:
    from model.log_index import LogIndex

    index = LogIndex(url)
    feedback = _check(settle(index.feedback_lines(period)), period)
    joined = join(feedback, index.prediction_lines(feedback.lines))
    n_new, n_changed = index.write_outcomes(joined.lines)
    return feedback, joined, {"new": n_new, "changed": n_changed}


def _check(feedback: Feedback, period: Period) -> Feedback:
    if not feedback.lines:
        raise NothingObserved(f"there is no {FEEDBACK_DATASET} line of {period}; POST /feedback writes them")
    return feedback


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)
    except OSError as error:
        raise LogUnreadable(f"{path} cannot be written: {error.strerror}") from None


def _write_figures(figures: Sequence[LiveFigures]) -> str:
    names = [name for name in _FIGURES if any(name in of_week.figures for of_week in figures)]
    header = ["version", "", "week of", "outcomes", "mean", "predicted", *(name.replace("_", " ") for name in names)]
    rows = [
        [
            of_week.version,
            of_week.role,
            of_week.week or "(all)",
            f"{of_week.n_outcomes:,}",
            f"{of_week.mean_outcome:.4g}",
            f"{of_week.mean_prediction:.4g}",
            *(f"{of_week.figures[name]:.4f}" if name in of_week.figures else "" for name in names),
        ]
        for of_week in figures
    ]
    return write_table(header, rows)
