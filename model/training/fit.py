"""Grows the forest: early stopping on the later rows, then once more with exactly that many rounds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xgboost

from model.datasets.dataset import Categories, collect_categories, encode_categories
from model.datasets.split import Split
from model.errors import DeviceMissing, TrainingError
from model.parameters import TrainingParameters
from model.progress import Progress
from model.training.task import Task

BOOSTER_FILE = "model.ubj"
_REST_FILE = "fitted.json"
_ROUNDS_BETWEEN_REPORTS = 25
STOP = "stop"

# At most so many rounds, and the stopping rounds if there are any, to a booster and its scores.
Train = Callable[[int, int | None], tuple[xgboost.Booster, list[float]]]


@dataclass(frozen=True)
class FittedModel:
    """
    A booster with all that is needed to give it instances.

    Attributes
    ----------
    booster : xgboost.Booster
        Has `n_rounds` rounds and no others: it answers with all of them.
    categories : dict of str to list of str
        Each categorical feature's values in code order, as the fitted rows had them.
    n_rounds : int
    stop_scores : list of float
        The stopping metric after each round of the search.
    n_workers : int
        How many machines or processes had a part of the rows each; it is a part of what the booster comes of.
    """

    booster: xgboost.Booster
    categories: Categories
    n_rounds: int
    stop_scores: list[float]
    n_workers: int = 1

    def predict(self, features: pd.DataFrame, margins: bool = False) -> np.ndarray:
        """
        Answer instances as XGBoost itself does; an unknown category is a missing value.

        Returns
        -------
        numpy.ndarray of float32, shape (n_rows,) or (n_rows, n_classes)
            Probabilities or numbers, by the task; or the sums of the leaves if `margins`.
        """
        matrix = to_matrix(features, self.categories)
        return np.asarray(self.booster.predict(matrix, output_margin=margins), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Keep it in a folder, which is made anew."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.booster.save_model(folder / BOOSTER_FILE)
        rest = {"categories": self.categories, "n_rounds": self.n_rounds, "stop_scores": self.stop_scores}
        (folder / _REST_FILE).write_text(json.dumps(rest, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FittedModel:
        """
        Take it from where it was kept.

        Raises
        ------
        TrainingError
            If it is not there.
        """
        try:
            rest = json.loads((folder / _REST_FILE).read_text(encoding="utf-8"))
            return cls(xgboost.Booster(model_file=folder / BOOSTER_FILE), **rest)
        except (OSError, TypeError, ValueError) as error:
            raise TrainingError(f"no fitted model can be read in {folder}: {error}") from None


def fit_model(split: Split, task: Task, parameters: TrainingParameters, progress: Progress) -> FittedModel:
    """
    Fit on `split.fit` for as many rounds as serve `split.stop` best.

    Raises
    ------
    TrainingError
        If fitting again does not give the same booster.
    """
    settings = to_settings(task, parameters)
    categories = collect_categories(split.fit.features)
    fit = to_matrix(split.fit.features, categories, split.fit.outcomes)
    stop = to_matrix(split.stop.features, categories, split.stop.outcomes)

    def train(n_rounds: int, stopping_rounds: int | None) -> tuple[xgboost.Booster, list[float]]:
        scores: dict[str, dict[str, list[float]]] = {STOP: {settings["eval_metric"]: []}}
        stopping: dict[str, Any] = {}
        if stopping_rounds is not None:
            stopping = {
                "evals": [(stop, STOP)],
                "evals_result": scores,
                "early_stopping_rounds": stopping_rounds,
                "callbacks": [RoundReporter(progress)],
            }
        booster = xgboost.train(settings, fit, n_rounds, verbose_eval=False, **stopping)
        return booster, scores[STOP][settings["eval_metric"]]

    return fit_twice(train, stop, categories, settings["eval_metric"], parameters, progress)


def fit_twice(
    train: Train,
    stop: xgboost.DMatrix,
    categories: Categories,
    metric: str,
    parameters: TrainingParameters,
    progress: Progress,
) -> FittedModel:
    """
    Find the number of rounds, and fit exactly those, wherever that is done.

    Parameters
    ----------
    train : callable
        Fits at most so many rounds and gives booster and scores; with a number of stopping rounds, it stops once so
        many came without a better score on the stopping rows.
    stop : xgboost.DMatrix
        The stopping rows, on which both boosters have to answer alike.
    categories, metric, parameters, progress

    Raises
    ------
    TrainingError
        If fitting again does not give the same booster.
    """
    searched, scores = train(parameters.rounds, parameters.stopping_rounds)
    n_rounds = searched.best_iteration + 1
    progress.say(f"best after {n_rounds} rounds ({metric} {searched.best_score:.4f}); fitting exactly those")
    # A booster that stopped early keeps the rounds after its best one, and as a plain booster
    # answers with all of them; cut to the best, it loses its category names (XGBoost 3.2).
    booster, _ = train(n_rounds, None)
    if not np.array_equal(
        searched.predict(stop, output_margin=True, iteration_range=(0, n_rounds)),
        booster.predict(stop, output_margin=True),
    ):
        raise TrainingError(
            "fitting again with the same seed gave another booster: what was measured is not what would be registered"
        )
    return FittedModel(booster, categories, n_rounds, scores)


def to_settings(task: Task, parameters: TrainingParameters) -> dict[str, Any]:
    """What `xgboost.train` takes as a dictionary."""
    return {**task.booster_parameters, **parameters.for_booster()}


def to_matrix(features: pd.DataFrame, categories: Categories, outcomes: np.ndarray | None = None) -> xgboost.DMatrix:
    """Encode instances; an unknown category is a missing value."""
    return xgboost.DMatrix(encode_categories(features, categories), outcomes, enable_categorical=True)


def check_device(device: str) -> None:
    """
    Find out before any work whether XGBoost has a device: without it, it only warns and uses the CPU.

    Raises
    ------
    DeviceMissing
    """
    if device == "cpu":
        return
    with xgboost.config_context(verbosity=0):  # the error below says what its warning would
        try:
            booster = xgboost.train({"device": device}, xgboost.DMatrix(np.zeros((2, 1)), np.array([0, 1])), 1)
            used = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
        except xgboost.core.XGBoostError:
            used = "none"
    if not used.startswith(device):
        raise DeviceMissing(
            f"XGBoost {xgboost.__version__} finds no {device} device; use --device cpu, or install the `xgboost` "
            "distribution, which has CUDA, on a machine with an NVIDIA GPU"
        )


class Sayer(Protocol):
    """Anything that says what is done; `Progress` is one."""

    def say(self, step: str) -> None:
        """Say a step."""


class RoundReporter(xgboost.callback.TrainingCallback):
    """Says the stopping metric every few rounds."""

    def __init__(self, progress: Sayer) -> None:
        self._progress = progress

    def after_iteration(
        self,
        model: Any,  # noqa: ARG002  XGBoost's signature
        epoch: int,
        evals_log: xgboost.callback.TrainingCallback.EvalsLog,
    ) -> bool:
        """Report, and let the training go on."""
        n_rounds = epoch + 1
        if n_rounds % _ROUNDS_BETWEEN_REPORTS == 0:
            for metric, scores in evals_log[STOP].items():
                self._progress.say(f"  round {n_rounds}: {metric} on the stopping rows {scores[-1]:.4f}")
        return False
