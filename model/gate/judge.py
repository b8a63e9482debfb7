"""The gate: all checks of one challenger, on the newest rows whose outcomes are known."""

from __future__ import annotations

import hashlib

import pandas as pd

from app.predictor import Predictor
from model.datasets.dataset import Dataset
from model.datasets.split import midnight
from model.errors import GateImpossible
from model.gate.answers import answer, measure_prediction_time_us
from model.gate.behaviour import check_callers, check_expectations, check_features, check_leak, check_time
from model.gate.bootstrap import LEAST_BLOCKS as LEAST_DAYS
from model.gate.checks import Comparison, check_calibration, check_gain, check_slices
from model.gate.verdict import Verdict
from model.progress import Progress
from model.project import Project
from model.rules import GateRules


def judge(
    project: Project,
    challenger: Predictor,
    champion: Predictor | None,
    window: Dataset,
    rules: GateRules,
    progress: Progress,
) -> Verdict:
    """
    Judge a challenger.

    Parameters
    ----------
    project : Project
    challenger : Predictor
    champion : Predictor or None
        None where there is none: what compares the two is left out then.
    window : Dataset
        The newest rows whose outcomes are known, none of which the challenger has seen.
    rules : GateRules
    progress : Progress

    Raises
    ------
    GateImpossible
        If there are no such rows, or the challenger cannot answer them.
    """
    first, last = (f"{moment:%Y-%m-%d}" for moment in (window.moments.min(), window.moments.max()))
    against = f" against version {champion.version.version}" if champion else ""
    progress.say(f"judging version {challenger.version.version}{against} by {window.n_rows:,} rows, {first} to {last}")
    answers = answer(challenger, window.features)
    checks = [check_features(project, answers)]
    if champion:
        comparison = Comparison(project.task, window, answers, answer(champion, window.features))
        checks += [
            check_callers(challenger, champion),
            check_gain(comparison, rules),
            check_calibration(comparison, rules),
            check_slices(comparison, project.slices, rules),
        ]
    checks += [
        check_leak(project, window, answers, rules),
        *check_expectations(project, answers),
        check_time(measure_prediction_time_us(challenger, window.features), rules),
    ]
    return Verdict(
        challenger.version.version,
        champion.version.version if champion else "",
        f"{first} to {last}",
        window.n_rows,
        checks,
        digest_rules(project, rules),
    )


def digest_rules(project: Project, rules: GateRules) -> str:
    """Name what a challenger is asked: with other rules, an older verdict does not hold."""
    asked = repr((rules, project.slices, project.expectations, sorted(project.known_later)))
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def choose_window(dataset: Dataset, days: int) -> Dataset:
    """
    Take the rows of the last days.

    Raises
    ------
    GateImpossible
        If there are no rows, or of so few days that nothing can be said of chance.
    """
    if not dataset.n_rows:
        raise GateImpossible("there are no rows with outcomes to judge by")
    last = dataset.moments.max()
    first_day = last.tz_localize(None).normalize() - pd.Timedelta(days=days - 1)
    window = dataset.select((dataset.moments >= midnight(first_day, last.tz)).to_numpy())
    if (n_days := window.moments.dt.date.nunique()) < LEAST_DAYS:
        raise GateImpossible(f"the newest {days} days have rows on {n_days} only; {LEAST_DAYS} are needed")
    return window
