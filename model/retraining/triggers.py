"""The rules that call for a new version: drift, a live metric that has fallen, and age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from app.artifacts import Card
from model.datasets.dataset import Dataset
from model.errors import NothingObserved
from model.names import CHAMPION, MODEL_NAME
from model.observed.drift import Drift, measure_drift
from model.observed.logs import Logs
from model.observed.period import Period
from model.retraining.report import Report
from model.rules import RetrainingRules
from model.training.task import Task

_SHOWN = 3
_VERSION = "treeserve.model.version"

Line = Mapping[str, Any]


def find_reasons(
    task: Task,
    version: str,
    card: Card,
    logs: Logs,
    period: Period,
    dataset: Dataset,
    rules: RetrainingRules,
    report: Report,
) -> list[str]:
    """
    Ask each rule, and note in the report what it found.

    Parameters
    ----------
    task : Task
    version : str
        The champion.
    card : Card
        The champion's.
    logs : Logs
    period : Period
        Of which drift and live outcomes are.
    dataset : Dataset
        All rows whose outcomes are known.
    rules : RetrainingRules
    report : Report

    Returns
    -------
    list of str
        Why a new version is called for; empty if it is not.
    """
    reasons = [
        _find_drift(version, logs, period, rules, report),
        _find_fall(task, version, card, logs, period, rules, report),
        _find_age(card, dataset, rules, report),
    ]
    return [reason for reason in reasons if reason]


def _find_drift(version: str, logs: Logs, period: Period, rules: RetrainingRules, report: Report) -> str:
    try:
        _, drifts = measure_drift(logs.profile_lines(period), MODEL_NAME, version)
    except NothingObserved:
        report.note(
            "drift",
            f"unknown: no service has told what it counted of version {version} in that time; does one follow the "
            f"alias {CHAMPION}, and are these its logs? Processes tell it once a minute",
        )
        return ""
    of_prediction = next((drift.psi for drift in drifts if drift.kind == "prediction"), float("nan"))
    figures = {"psi_largest": drifts[0].psi, "psi_prediction": of_prediction}
    drifted = [
        drift for drift in drifts if drift.n_observed >= rules.least_rows and drift.psi >= rules.psi + _by_chance(drift)
    ]
    shown = ", ".join(f"{drift.name} {drift.psi:.3f}" for drift in drifts[:_SHOWN])
    report.note(
        "drift",
        f"{len(drifted)} of {len(drifts)} with a PSI of {rules.psi:g} or more, and not by chance; the largest: "
        f"{shown}; of the prediction {of_prediction:.3f}",
        figures,
    )
    return f"{len(drifted)} features or predictions have drifted" if drifted else ""


def _find_fall(
    task: Task, version: str, card: Card, logs: Logs, period: Period, rules: RetrainingRules, report: Report
) -> str:
    joined = logs.join_outcomes(period)[1].lines
    lines = choose_possible(task, [line for line in joined if is_ours(line) and line[_VERSION] == version])
    if len(lines) < rules.least_rows:
        report.note("live metric", f"{len(lines):,} outcomes, {rules.least_rows:,} are needed to say anything")
        return ""
    live = task.evaluate(*to_arrays(lines, "treeserve.prediction"))
    headline, before = task.headline, card.metrics.get(f"test_{task.headline}")
    if before is None or headline not in live:
        report.note("live metric", f"no {headline} in the card, or only one kind of outcome")
        return ""
    fall = (before - live[headline]) * (1 if task.is_higher_better else -1)
    report.note(
        "live metric",
        f"{headline} {live[headline]:.4f} of {len(lines):,} outcomes, {before:.4f} when it was tested: worse by "
        f"{fall:.4f}, and it may be by {rules.metric_loss:g}",
        {f"live_{headline}": live[headline], "live_outcomes": len(lines)},
    )
    return f"the {headline} has fallen by {fall:.4f}" if fall > rules.metric_loss else ""


def _find_age(card: Card, dataset: Dataset, rules: RetrainingRules, report: Report) -> str:
    age = (dataset.moments.max() - pd.Timestamp(card.data.last)).days
    report.note(
        "age",
        f"outcomes are up to {age} days younger than what the champion was fitted on; they may be {rules.age_days}",
        {"age_days": age},
    )
    return f"what the champion was fitted on is {age} days old" if age > rules.age_days else ""


def _by_chance(drift: Drift) -> float:
    """The PSI that so many values have in so many bins without any drift, on average."""
    return (len(drift.bins) - 1) / drift.n_observed


def is_ours(line: Line) -> bool:
    """Whether a line is of this model: others have versions of the same numbers, in the same streams."""
    return bool(line["treeserve.model.name"] == MODEL_NAME)


def choose_possible(task: Task, lines: Sequence[Line]) -> list[Line]:
    """Those lines whose outcome is one that the task has."""
    outcomes = np.array([line["treeserve.outcome"] for line in lines], dtype=float)
    return [line for line, is_one in zip(lines, task.find_possible(outcomes), strict=True) if is_one]


def to_arrays(lines: Sequence[Line], prediction: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Outcomes, and the predictions that a field of their lines has."""
    return (
        np.array([line["treeserve.outcome"] for line in lines], dtype=float),
        np.array([line[prediction] for line in lines], dtype=float),
    )
