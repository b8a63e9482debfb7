"""How good predictions have turned out to be, by model version and week."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from model.training.evaluation import calibration_error


@dataclass(frozen=True)
class LiveFigures:
    """
    Of the predictions of one model version in one week.

    Attributes
    ----------
    model, version : str
        Which registered model's, and which version.
    role : str
        ``answered``, or ``shadow`` where another version answered the same instances.
    week : str
        Its Monday, in UTC, of when the predictions were asked; empty for all weeks together.
    n_outcomes : int
    mean_outcome, mean_prediction : float
        For yes and no, how often it came true, and how often it was predicted to.
    figures : dict of str to float
        ``auc``, ``brier`` and ``calibration_error`` where all outcomes are 0 or 1 and all predictions between them,
        ``auc`` only where both occurred; else ``mae`` and ``rmse``.
    """

    model: str
    version: str
    role: str
    week: str
    n_outcomes: int
    mean_outcome: float
    mean_prediction: float
    figures: dict[str, float]


def measure(lines: Iterable[Mapping[str, Any]]) -> list[LiveFigures]:
    """
    Compare predictions with outcomes.

    Parameters
    ----------
    lines : iterable of mapping
        Of the dataset `treeserve.outcome`; those whose prediction is one a class are left out.

    Returns
    -------
    list of LiveFigures
        By model, version and role, first of each all weeks together.
    """
    pairs: dict[tuple[str, str, str], dict[str, list[tuple[float, float]]]] = {}
    for line in lines:
        week = _monday(line["@timestamp"])
        for version, role, prediction in _predictions(line):
            if not isinstance(prediction, list):
                of_version = pairs.setdefault((line["treeserve.model.name"], version, role), {"": []})
                pair = (line["treeserve.outcome"], prediction)
                of_version[""].append(pair)
                of_version.setdefault(week, []).append(pair)
    return [
        _measure(whose, week, np.array(of_week, dtype=float))
        for whose, weeks in sorted(pairs.items())
        for week, of_week in sorted(weeks.items())
    ]


def _predictions(line: Mapping[str, Any]) -> Iterable[tuple[str, str, Any]]:
    yield line["treeserve.model.version"], "answered", line["treeserve.prediction"]
    for other in ("challenger", "champion"):
        if (prediction := line.get(f"treeserve.{other}.prediction")) is not None:
            yield line[f"treeserve.{other}.version"], "shadow", prediction


def _monday(timestamp: str) -> str:
    day: date = datetime.fromisoformat(timestamp).astimezone(UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def _measure(whose: tuple[str, str, str], week: str, pairs: np.ndarray[Any, Any]) -> LiveFigures:
    outcomes, predictions = pairs.T
    errors = predictions - outcomes
    if np.isin(outcomes, (0, 1)).all() and ((predictions >= 0) & (predictions <= 1)).all():
        figures = {"brier": np.mean(errors**2), "calibration_error": calibration_error(outcomes, predictions)}
        if 0 < outcomes.mean() < 1:
            figures["auc"] = roc_auc_score(outcomes, predictions)
    else:
        figures = {"mae": np.mean(np.abs(errors)), "rmse": np.sqrt(np.mean(errors**2))}
    rounded = {name: float(value) for name, value in figures.items()}
    return LiveFigures(*whose, week, len(pairs), float(outcomes.mean()), float(predictions.mean()), rounded)
