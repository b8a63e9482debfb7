"""How the time of training and scoring grows with rows and workers: one process, and Dask clusters on this machine."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.report import FOLDER, describe_processor, format_number, format_table
from model.datasets.dataset import Dataset
from model.datasets.split import Split
from model.distributed.cluster import Cluster, connect
from model.distributed.training import fit_on_cluster
from model.flights.project import PROJECT
from model.parameters import read_parameters
from model.pipeline.steps import split_dataset, train
from model.progress import Progress
from model.scoring.job import in_this_process, score
from model.training.fit import fit_model
from tests.dask_clusters import run_cluster
from tests.parameters import make_parameters

N_ROWS = (300_000, 3_000_000)
N_WORKERS = (0, 1, 2)  # none is one process without Dask, with all cores
_N_TIMES = 3
_N_PARTITIONS = 30
# So few that the last round is the best, or nearly: a training is twice so many rounds.
_PARAMETERS = make_parameters(rounds=20, stopping_rounds=20)
_MODEL_URI = "models:/flight-delay@champion"

# By what is done, rows and workers.
Seconds = Mapping[tuple[str, int, int], float]


def measure(is_quick: bool) -> None:
    """Print the table; with `is_quick` everything is done once."""
    folder = FOLDER / "distributed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = f"sqlite:///{folder / 'mlflow.db'}"
    variables = {"MLFLOW_TRACKING_URI": store, "TREESERVE_CACHE_DIR": str(folder / "cache")}
    progress, n_times = Progress(sys.stderr), 1 if is_quick else _N_TIMES
    with patch.dict(os.environ, variables):
        train(PROJECT, read_parameters(), None, store, True, progress)
        dataset = PROJECT.read(None, read_parameters().until, progress)
        seconds: dict[tuple[str, int, int], float] = {}
        for n_rows in N_ROWS:
            drawn = resample(dataset, n_rows)
            split = split_dataset(PROJECT, drawn, _PARAMETERS)
            instances = _write_partitions(drawn, folder / f"instances-{n_rows}")
            for n_workers in N_WORKERS:
                place = folder / f"{n_rows} rows, {n_workers} workers"
                with _find_cluster(n_workers, place, progress) as cluster:
                    train_s = _time(partial(_fit, split, cluster, progress), n_times)
                    score_s = _time(partial(_answer, instances, cluster), n_times)
                seconds |= {("train", n_rows, n_workers): train_s, ("score", n_rows, n_workers): score_s}
                progress.say(
                    f"{n_rows:,} rows, {n_workers} workers: {train_s:.1f} s to train, {score_s:.1f} s to score"
                )
    print(f"{describe_processor()}; seconds, the median of {n_times}\n")
    print(tabulate(seconds))


def resample(dataset: Dataset, n_rows: int) -> Dataset:
    """Draw so many rows, some of them several times, in the order of their moments."""
    drawn = np.sort(np.random.default_rng(0).integers(dataset.n_rows, size=n_rows))
    return Dataset(
        dataset.features.iloc[drawn].reset_index(drop=True),
        dataset.outcomes[drawn],
        dataset.moments.iloc[drawn].reset_index(drop=True),
    )


def tabulate(seconds: Seconds) -> str:
    """The times in Markdown, with how they grow from the fewest rows to the most."""
    few, many = N_ROWS[0], N_ROWS[-1]
    rows = []
    for what in ("train", "score"):
        for n_workers in N_WORKERS:
            times = [seconds[what, n_rows, n_workers] for n_rows in (few, many)]
            where = "one process" if n_workers == 0 else f"{n_workers} worker{'s' * (n_workers > 1)}"
            speed = seconds[what, many, 1] / times[1]
            rows.append(
                [f"{what}, {where}", *map(format_number, times), f"× {times[1] / times[0]:.1f}", f"{speed:.2f}"]
            )
    return format_table(["", f"{few:,} rows", f"{many:,} rows", "growth", f"1 worker's / its, {many:,} rows"], rows)


def _write_partitions(dataset: Dataset, folder: Path) -> Path:
    folder.mkdir()
    for position in range(_N_PARTITIONS):
        rows = dataset.features.iloc[position::_N_PARTITIONS]
        rows.to_parquet(folder / f"{position:02}.parquet", index=False)
    return folder


@contextmanager
def _find_cluster(n_workers: int, folder: Path, progress: Progress) -> Iterator[Cluster | None]:
    """A cluster of so many workers with a thread each, which have done nothing yet but imports; or none."""
    if n_workers == 0:
        yield None
        return
    names = [f"worker-{position}" for position in range(n_workers)]
    with (
        run_cluster(folder, *names, variables=_own_variables()) as running,
        connect(running.address, progress) as cluster,
    ):
        running.have(n_workers, cluster.client)
        yield cluster


def _own_variables() -> dict[str, str]:
    return {name: os.environ[name] for name in ("MLFLOW_TRACKING_URI", "TREESERVE_CACHE_DIR")}


def _fit(split: Split, cluster: Cluster | None, progress: Progress) -> None:
    if cluster is None:
        fit_model(split, PROJECT.task, _PARAMETERS.train, progress)
    else:
        fit_on_cluster(cluster, split, PROJECT.task, _PARAMETERS.train, progress)


def _answer(instances: Path, cluster: Cluster | None) -> None:
    output = instances.with_name("predictions")
    shutil.rmtree(output, ignore_errors=True)
    score(_MODEL_URI, instances, output, in_this_process if cluster is None else cluster.map, Progress(sys.stderr))


def _time(work: Callable[[], None], n_times: int) -> float:
    """Seconds; once before, unmeasured, for what is imported and loaded the first time."""
    work()
    taken = []
    for _ in range(n_times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
