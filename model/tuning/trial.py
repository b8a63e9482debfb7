"""
One trial: trees grown in every window, and how far it comes while they grow.

A trial's **path** is what the search compares it by on the way: at a few checkpoints in each window the best score yet,
as a mean with the windows behind it. The last step of a whole path is the trial's **score**.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from statistics import fmean
from typing import Any

import xgboost

from model.parameters import TrainingParameters
from model.tuning.windows import Window

# Rounds times learning rate. After the same number of rounds a slow learner would look worse than it ends, and the
# search would prune what is best: measured in docs/decisions/0025-search.md.
CHECKPOINTS = (4, 8, 16)
N_STEPS = len(CHECKPOINTS) + 1  # of a path in one window: the last is the window's end
_STOP = "stop"

Curves = list[list[float]]


@dataclass(frozen=True)
class Trial:
    """
    What is known of one set of parameters.

    Attributes
    ----------
    parameters : TrainingParameters
    curves : list of list of float
        The stopping metric after each round, window by window.
    path : list of float
        Of a pruned trial up to the step that ended it.
    is_pruned : bool
    """

    parameters: TrainingParameters
    curves: Curves
    path: list[float]
    is_pruned: bool

    @property
    def score(self) -> float | None:
        """The mean over the windows of the best that each came to; None if it was pruned."""
        return None if self.is_pruned else self.path[-1]


# Whether a trial that has come to a value at a step of its path is not worth going on with.
IsHopeless = Callable[[int, float], bool]
Report = Callable[[Curves], None]


@dataclass(frozen=True)
class Measure:
    """
    How trials are measured.

    Attributes
    ----------
    windows : sequence of Window
    task_settings : mapping
        What XGBoost is told of the task.
    is_higher_better : bool
        Of the stopping metric.
    """

    windows: Sequence[Window]
    task_settings: Mapping[str, Any]
    is_higher_better: bool

    @property
    def metric(self) -> str:
        """The stopping metric; of several, XGBoost stops by the last."""
        metrics = self.task_settings["eval_metric"]
        return str(metrics if isinstance(metrics, str) else metrics[-1])

    def grow(self, parameters: TrainingParameters, is_hopeless: IsHopeless, report: Report) -> Trial:
        """
        Grow trees window by window, until the last has ended or there is no hope.

        Parameters
        ----------
        parameters : TrainingParameters
        is_hopeless : IsHopeless
            Asked at each step of the path but the last, again and again; the same question has the same answer.
        report : Report
            Given all curves at each step.
        """
        curves: Curves = []
        settings = {**self.task_settings, **parameters.for_booster()}
        for window in self.windows:
            curves.append([])
            watch = _Watch(self, parameters, curves, is_hopeless, report)
            xgboost.train(
                settings,
                window.fit,
                parameters.rounds,
                evals=[(window.stop, _STOP)],
                # In this order: after the first that stops, XGBoost asks no other, and the watch is to see every round.
                callbacks=[watch, xgboost.callback.EarlyStopping(rounds=parameters.stopping_rounds)],
                verbose_eval=False,
            )
            trial = self.end_where_hopeless(parameters, curves, is_hopeless)
            report(curves)
            if trial.is_pruned:
                break
        return trial

    def end_where_hopeless(self, parameters: TrainingParameters, curves: Curves, is_hopeless: IsHopeless) -> Trial:
        """Follow curves, grown now or before, to where there is no hope or to their end."""
        path = self.follow(parameters, curves)
        for step, value in enumerate(path[: N_STEPS * len(self.windows) - 1]):
            if is_hopeless(step, value):
                return Trial(parameters, curves, path[: step + 1], is_pruned=True)
        return Trial(parameters, curves, path, is_pruned=False)

    def is_settled(self, trial: Trial) -> bool:
        """Whether it was pruned, or came to the end of every window."""
        return trial.is_pruned or len(trial.path) == N_STEPS * len(self.windows)

    def follow(self, parameters: TrainingParameters, curves: Curves) -> list[float]:
        """Make a path of the curves, as long as they go."""
        path: list[float] = []
        ends: list[float] = []
        for curve in curves:
            best = list(accumulate(curve, max if self.is_higher_better else min))
            is_over = has_ended(curve, parameters, self.is_higher_better)
            for n_rounds in list_checkpoints(parameters):
                if len(curve) < n_rounds and not is_over:
                    return path
                path.append(fmean([*ends, best[min(n_rounds, len(curve)) - 1]]))
            if not is_over:
                return path
            ends.append(best[-1])
            path.append(fmean(ends))
        return path

    def best_round(self, curve: Sequence[float]) -> int:
        """After how many rounds a curve is at its best, first."""
        return curve.index(max(curve) if self.is_higher_better else min(curve)) + 1


def list_checkpoints(parameters: TrainingParameters) -> list[int]:
    """After how many rounds a trial is looked at."""
    return [min(ceil(learnt / parameters.learning_rate), parameters.rounds) for learnt in CHECKPOINTS]


def has_ended(curve: Sequence[float], parameters: TrainingParameters, is_higher_better: bool) -> bool:
    """Whether early stopping, or the most rounds that are allowed, ended a curve there."""
    if not curve:
        return False
    best = max(curve) if is_higher_better else min(curve)
    return len(curve) >= parameters.rounds or len(curve) - 1 - curve.index(best) >= parameters.stopping_rounds


class _Watch(xgboost.callback.TrainingCallback):
    """Keeps the scores, and ends a training that is hopeless."""

    def __init__(
        self, measure: Measure, parameters: TrainingParameters, curves: Curves, is_hopeless: IsHopeless, report: Report
    ) -> None:
        self._measure = measure
        self._parameters = parameters
        self._curves = curves
        self._is_hopeless = is_hopeless
        self._report = report
        self._checkpoints = set(list_checkpoints(parameters))

    def after_iteration(
        self,
        model: Any,  # noqa: ARG002  XGBoost's signature
        epoch: int,
        evals_log: xgboost.callback.TrainingCallback.EvalsLog,
    ) -> bool:
        """Take the score of a round; whether to stop there."""
        *_, scores = evals_log[_STOP].values()
        score = scores[-1]
        assert isinstance(score, float)  # only cross-validation has pairs
        self._curves[-1].append(score)
        if epoch + 1 not in self._checkpoints:
            return False
        self._report(self._curves)
        return self._measure.end_where_hopeless(self._parameters, self._curves, self._is_hopeless).is_pruned
