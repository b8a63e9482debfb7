"""
Forests grown by `xgboost.dask`: the same two fits as in one process, each worker with a part of the rows.

One worker grows the booster of a single process, bit for bit. Several find the same splits but for two things: each
draws its own sample of its own rows, and where a feature has more values than bins the edges of bins are put together
from those of all workers. docs/training.md says what that amounts to.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import xgboost
from distributed import Client
from xgboost import collective
from xgboost import dask as xgboost_dask

from model.datasets.dataset import Categories, Dataset, collect_categories, encode_categories
from model.datasets.split import Split
from model.distributed.cluster import Cluster, LinkBroken, Worker
from model.parameters import TrainingParameters
from model.progress import Progress
from model.training.fit import STOP, FittedModel, RoundReporter, check_device, fit_twice, to_matrix, to_settings
from model.training.task import Task

_OUTCOME = "outcome"


def fit_on_cluster(
    cluster: Cluster, split: Split, task: Task, parameters: TrainingParameters, progress: Progress
) -> FittedModel:
    """
    Do what `model.training.fit.fit_model` does on a cluster, from the beginning again if a worker is lost.

    Raises
    ------
    TrainingError
        If the two fits differ, the workers have no such device, or they are lost again and again.
    """
    settings = to_settings(task, parameters)
    categories = collect_categories(split.fit.features)
    stop = to_matrix(split.stop.features, categories, split.stop.outcomes)

    def attempt(workers: list[Worker]) -> FittedModel:
        chosen = workers[: min(split.fit.n_rows, split.stop.n_rows)]  # XGBoost wants rows of both on each
        with _reports(cluster.client, progress) as topic:
            fit_rows = _place(cluster.client, chosen, split.fit, categories)
            stop_rows = _place(cluster.client, chosen, split.stop, categories)

            def train(n_rounds: int, stopping_rounds: int | None) -> tuple[xgboost.Booster, list[float]]:
                stopping: dict[str, Any] = {}
                if stopping_rounds is not None:
                    stopping = {
                        "evals": [(stop_rows, STOP)],
                        "early_stopping_rounds": stopping_rounds,
                        "callbacks": [RoundReporter(_Teller(topic))],
                    }
                grown = _train(cluster, settings, fit_rows, n_rounds, stopping)
                history = grown["history"].get(STOP, {settings["eval_metric"]: []})
                return grown["booster"], history[settings["eval_metric"]]

            model = fit_twice(train, stop, categories, settings["eval_metric"], parameters, progress)
        return replace(model, n_workers=len(chosen))

    if parameters.device != "cpu":
        cluster.client.run(check_device, parameters.device)
    return cluster.insist(attempt)


def _place(
    client: Client, workers: Sequence[Worker], rows: Dataset, categories: Categories
) -> xgboost_dask.DaskDMatrix:
    """
    Give every worker every so many-th row, one part each, so that all of them have rows of all times.

    Which part is whose is XGBoost's order of the workers: as many of them grow the same forest every time.
    """
    wide = rows.features.select_dtypes(np.float64).columns
    # XGBoost keeps float32 itself, and half as much goes over the network.
    table = encode_categories(rows.features, categories).astype(dict.fromkeys(wide, np.float32))
    table = table.assign(**{_OUTCOME: rows.outcomes})
    parts = [
        dask.delayed(client.scatter(table.iloc[position :: len(workers)], workers=[worker.address], hash=False))
        for position, worker in enumerate(workers)
    ]
    spread = dd.from_delayed(parts, meta=table.iloc[:0], verify_meta=False)
    matrix = xgboost_dask.DaskDMatrix(client, spread.drop(columns=_OUTCOME), spread[_OUTCOME], enable_categorical=True)
    if sorted(matrix.worker_map) != sorted(worker.address for worker in workers):
        raise LinkBroken("rows are on other workers than they were sent to")
    return matrix


def _train(
    cluster: Cluster,
    settings: dict[str, Any],
    rows: xgboost_dask.DaskDMatrix,
    n_rounds: int,
    stopping: dict[str, Any],
) -> dict[str, Any]:
    patience = collective.Config(timeout=cluster.silence_s)
    try:
        grown: dict[str, Any] = xgboost_dask.train(
            cluster.client, settings, rows, n_rounds, verbose_eval=False, coll_cfg=patience, **stopping
        )
    except xgboost.core.XGBoostError as error:
        if "/collective/" in str(error):  # a worker has waited for another one too long, or was hung up on
            raise LinkBroken(str(error)) from error
        raise
    return grown


class _Teller:
    """A `Progress` for a worker: what the first one says is said where the command runs."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def say(self, step: str) -> None:
        """Send a step."""
        if collective.get_rank() == 0:
            distributed.get_worker().log_event(self._topic, step)


@contextmanager
def _reports(client: Client, progress: Progress) -> Iterator[str]:
    """A topic; what workers say of it, `progress` says."""
    topic = f"treeserve-{uuid.uuid4().hex}"
    client.subscribe_topic(topic, lambda event: progress.say(event[1]))
    try:
        yield topic
    finally:
        client.unsubscribe_topic(topic)
