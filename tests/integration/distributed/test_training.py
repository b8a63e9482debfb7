"""Training on a real cluster of processes: the booster of one process, also when a worker is killed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.datasets.split import Split
from model.distributed.cluster import Cluster, connect
from model.flights.project import PROJECT
from model.training.fit import FittedModel, fit_model
from tests.dask_clusters import RunningCluster, Watching, run_cluster
from tests.integration.distributed.jobs import LONG, fit, raw

# MLflow 3.17 itself, as it writes an input example with pandas 3.
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")


@pytest.mark.slow
def test_a_worker_killed_in_mid_training_costs_time_and_nothing_else(
    cluster: Cluster, running: RunningCluster, split: Split, single: FittedModel
) -> None:
    """The one that is left begins again, and comes to the booster of a single process, byte for byte."""
    running.have(2, cluster.client)
    progress = Watching("round 25", lambda: running.kill(running.alive[-1]))
    model = fit(cluster, split, LONG, progress)
    assert "2 worker(s) with 2 thread(s)" in progress.said
    assert next(step for step in progress.said if step.startswith("workers were lost")).endswith("1 of 3")
    assert "1 worker(s) with 1 thread(s)" in progress.said
    assert raw(model) == raw(single)
    assert (model.n_rounds, model.n_workers, model.categories) == (single.n_rounds, 1, single.categories)
    assert model.stop_scores == single.stop_scores


@pytest.mark.slow
def test_two_workers_find_the_splits_of_one_where_rows_are_not_sampled(
    cluster: Cluster, running: RunningCluster, split: Split
) -> None:
    """And values are no more than bins: histograms are added up, and nothing is lost on the way."""
    running.have(2, cluster.client)
    few = {"humid": lambda t: t["humid"].round(), "pressure": lambda t: t["pressure"].round()}
    few |= {"sched_minutes": lambda t: t["sched_minutes"] // 10}
    coarse = Split(**{name: replace(side, features=side.features.assign(**few)) for name, side in split.sides.items()})
    parameters = replace(LONG, subsample=1.0)
    here = fit_model(coarse, PROJECT.task, parameters, Watching())
    there = fit(cluster, coarse, parameters, Watching())
    assert (there.n_workers, there.n_rounds) == (2, here.n_rounds)
    assert np.allclose(there.predict(coarse.test.features), here.predict(coarse.test.features), rtol=0, atol=1e-6)
    assert np.allclose(there.stop_scores, here.stop_scores, rtol=0, atol=2e-3)


@pytest.mark.slow
def test_two_workers_grow_the_same_forest_every_time_and_one_as_good(
    cluster: Cluster, running: RunningCluster, split: Split, single: FittedModel
) -> None:
    """Each samples its own rows, so it is not the forest of a single process."""
    running.have(2, cluster.client)
    first = fit(cluster, split, LONG, Watching())
    running.have(1, cluster.client)
    running.have(2, cluster.client)  # of another name and address
    second = fit(cluster, split, LONG, Watching())
    assert raw(first) == raw(second) != raw(single)
    assert first.booster.feature_types == single.booster.feature_types
    auc, expected = (
        PROJECT.task.evaluate(split.test.outcomes, model.predict(split.test.features))["auc"]
        for model in (first, single)
    )
    assert auc == pytest.approx(expected, abs=0.02)


@pytest.mark.slow
def test_a_worker_that_stops_in_mid_training_is_done_without(
    cluster: Cluster, running: RunningCluster, split: Split, single: FittedModel
) -> None:
    """It keeps its connections, and nobody is told that it will not answer: others have to notice."""
    running.have(2, cluster.client)
    stopped = running.workers[running.alive[-1]]
    progress = Watching("round 25", lambda: stopped.send_signal(signal.SIGSTOP))
    try:
        model = fit(cluster, split, LONG, progress, silence_s=5)
    finally:
        stopped.kill()
        stopped.wait(10)
    assert "1 worker(s) with 1 thread(s)" in progress.said
    assert raw(model) == raw(single)


@pytest.mark.slow
def test_a_worker_that_is_started_again_may_go_on(split: Split, single: FittedModel, tmp_path: Path) -> None:
    """As Dask's nanny does it, which is what `dask worker` starts: how many grow the forest in the end is by chance."""
    with (
        run_cluster(tmp_path, "one", "two", options=()) as running,
        connect(running.address, Watching()) as cluster,
    ):
        running.have(2, cluster.client)
        both = fit(cluster, split, LONG, Watching())
        doomed = cluster.find_workers(10)[1].pid
        progress = Watching("round 25", lambda: os.kill(doomed, signal.SIGKILL))
        model = fit(cluster, split, LONG, progress)
    assert any(step.startswith("workers were lost") for step in progress.said)
    assert raw(model) == {1: raw(single), 2: raw(both)}[model.n_workers]
