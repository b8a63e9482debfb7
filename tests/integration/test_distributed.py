"""Training and scoring on a real cluster of processes: what one process comes to, also when a worker is killed."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from app.errors import ModelUnfit
from model.__main__ import main
from model.datasets.split import Split
from model.distributed.cluster import Cluster, connect
from model.distributed.training import fit_on_cluster
from model.errors import ClusterUnusable, DataInvalid
from model.flights.project import PROJECT
from model.parameters import TrainingParameters
from model.pipeline.steps import split_dataset
from model.progress import Progress
from model.scoring.job import Each, Model, Scored, check_with, in_this_process, score
from model.scoring.partitions import list_partitions
from model.training.fit import FittedModel, fit_model
from tests.dask_clusters import RunningCluster, Watching, end_process, run_cluster
from tests.equality import assert_same_bits
from tests.integration.mlflow_store import load_mlflow, restored_tracking_uri
from tests.integration.training import Trained
from tests.parameters import make_parameters
from tests.services import FakeRegistry, run_service

# MLflow 3.17 itself, as it writes an input example with pandas 3.
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")

CHAMPION = "models:/flight-delay@champion"
N_PARTITIONS = 30
# Rounds enough for a worker to be killed in the middle of them.
LONG = make_parameters(rounds=100, stopping_rounds=100).train


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command and the workers keep model versions, as machines that share nothing else would not."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def running(trained: Trained, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster whose registry has the trained example, with two workers that may be killed beside the first."""
    variables = {"MLFLOW_TRACKING_URI": trained.uri, "TREESERVE_CACHE_DIR": str(cache / "workers")}
    folder = tmp_path_factory.mktemp("cluster")
    with run_cluster(folder, "first", "second", "third", variables=variables) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(running: RunningCluster) -> Iterator[Cluster]:
    """The command's end of it."""
    with connect(running.address, Watching()) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def split(sample: Path) -> Split:
    """A twentieth of the flights."""
    return split_dataset(PROJECT, PROJECT.read(sample, Watching()), make_parameters())


@pytest.fixture(scope="module")
def single(split: Split) -> FittedModel:
    """What one process comes to."""
    return fit_model(split, PROJECT.task, LONG, Watching())


@pytest.fixture(scope="module")
def instances(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The later rows with a number of their own each, in many partitions."""
    folder = tmp_path_factory.mktemp("instances")
    table = pd.concat([split.stop.features, split.test.features], ignore_index=True)
    table["id"] = np.arange(len(table))
    for position, rows in enumerate(np.array_split(np.arange(len(table)), N_PARTITIONS)):
        table.iloc[rows].to_parquet(folder / f"part-{position:02}.parquet", index=False)
    return folder


@pytest.fixture
def environment(trained: Trained, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.uri)
    monkeypatch.setenv("TREESERVE_CACHE_DIR", str(cache / "command"))


def fit(
    cluster: Cluster, split: Split, parameters: TrainingParameters, progress: Progress, silence_s: int = 60
) -> FittedModel:
    """Fit on the cluster, with another's ears."""
    heard = Cluster(cluster.client, "the cluster", progress, silence_s)
    return fit_on_cluster(heard, split, PROJECT.task, parameters, progress)


def score_champion(
    source: Path, target: Path, each: Each = in_this_process, progress: Progress | None = None
) -> Scored:
    """Answer a folder."""
    return score(CHAMPION, source, target, each, 1, progress or Watching())


def read_files(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def raw(model: FittedModel) -> bytes:
    """The booster's file."""
    return bytes(model.booster.save_raw("ubj"))


@pytest.mark.usefixtures("environment")
def test_the_cluster_answers_what_the_service_answers(
    cluster: Cluster, running: RunningCluster, trained: Trained, instances: Path, tmp_path: Path
) -> None:
    """To the last bit, an unknown category included."""
    running.have(3, cluster.client)
    scored = score_champion(instances, tmp_path / "out", cluster.map)
    table = pq.read_table(instances).to_pandas()
    assert (scored.version, scored.n_partitions, scored.n_kept) == ("flight-delay version 1", N_PARTITIONS, 0)
    written = pq.read_table(tmp_path / "out").to_pandas()
    assert scored.n_rows == len(table) == len(written)
    assert list(written.columns) == ["id", "prediction"]
    assert (written["id"] == table["id"]).all()
    known = trained.artifact("card.json")["categories"]["dest"]
    some = table[(table.index % 5 == 0) | ~table["dest"].isin(known)]
    assert not some["dest"].isin(known).all()
    rows = json.loads(some.drop(columns="id").astype(object).to_json(orient="records", double_precision=15))
    with run_service(FakeRegistry(trained.folder), tmp_path / "payload.log") as service:
        answered = service.predict(*rows)
    assert_same_bits(answered, written["prediction"].to_numpy()[some.index])


@pytest.mark.usefixtures("environment")
def test_a_worker_killed_in_mid_scoring_costs_time_and_nothing_else(
    cluster: Cluster, running: RunningCluster, instances: Path, tmp_path: Path
) -> None:
    """The others do its work, and the files are those of a single process."""
    running.have(3, cluster.client)
    score_champion(instances, tmp_path / "single")
    doomed = running.alive[-1]
    lost: list[str] = []

    def kill() -> None:
        workers = cluster.client.scheduler_info(n_workers=-1)["workers"]
        (address,) = (address for address, told in workers.items() if told["name"] == doomed)
        lost.extend(cluster.client.processing()[address])
        running.kill(doomed)

    progress = Watching("3 of", kill)
    score_champion(instances, tmp_path / "out", cluster.map, progress)
    assert running.workers[doomed].poll() == -9
    assert lost  # it had work that was not done
    assert progress.said[-1].strip() == f"{N_PARTITIONS} of {N_PARTITIONS}"
    assert read_files(tmp_path / "out") == read_files(tmp_path / "single")


@pytest.mark.usefixtures("environment")
def test_a_job_that_was_interrupted_goes_on_where_it_was(cluster: Cluster, instances: Path, tmp_path: Path) -> None:
    """In one process or on a cluster, whichever had begun."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    target = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        score_champion(instances, target, progress=Watching("6 of", interrupt))
    begun = read_files(target)
    assert len(begun) == 6
    scored = score_champion(instances, target, cluster.map)
    assert scored.n_kept == 6
    assert read_files(target).items() >= begun.items()
    assert len(read_files(target)) == N_PARTITIONS


@pytest.mark.usefixtures("environment")
def test_nothing_is_written_where_one_partition_is_wrong(cluster: Cluster, instances: Path, tmp_path: Path) -> None:
    """Found by whichever worker, with file, column and row."""
    copied = Path(shutil.copytree(instances, tmp_path / "in"))
    table = pd.read_parquet(copied / "part-07.parquet")
    table.assign(hour=table["hour"].where(table.index != 5, 7.5)).to_parquet(copied / "part-07.parquet", index=False)
    progress = Watching()
    with pytest.raises(DataInvalid, match=r"1 fault.* in 1 of 30 partition.*nothing was written") as refused:
        score_champion(copied, tmp_path / "out", cluster.map, progress)
    assert (refused.value.file, refused.value.column, refused.value.row) == ("part-07.parquet", "hour", 5)
    assert "  part-07.parquet, column 'hour', row 5: 'hour' must be an integer, not 7.5" in progress.said
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("environment")
def test_a_worker_that_comes_to_another_model_answers_nothing(
    cluster: Cluster, instances: Path, tmp_path: Path
) -> None:
    """Its registry, its checkout or its kernel is another one."""
    model = Model("models:/flight-delay/1", "not what the command has loaded", 1)
    found = list_partitions(instances, tmp_path / "out")
    with pytest.raises(ModelUnfit, match="the same registry, the same checkout and the same requirements"):
        list(cluster.map(partial(check_with, model), found))


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
def test_an_item_that_takes_workers_down_ends_the_job(tmp_path: Path) -> None:
    """When Dask has given it to as many as it is told to; and so does a cluster that has no worker left."""
    variables = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with (
        run_cluster(tmp_path, "one", "two", "three", variables=variables) as running,
        connect(running.address, Watching()) as cluster,
    ):
        running.have(3, cluster.client)
        with pytest.raises(ClusterUnusable, match=r"on 2 different workers, .*runs out of memory"):
            list(cluster.map(end_process, [1]))
        with pytest.raises(ClusterUnusable, match=r"all workers of .* are gone"):
            list(cluster.map(end_process, [1]))


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_the_commands_train_register_and_score_on_a_cluster(
    cluster: Cluster, running: RunningCluster, sample: Path, instances: Path, tmp_path: Path,
    empty_database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The model version says how many workers had a part in it, and is found again by as many."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    running.have(2, cluster.client)
    arguments = ["train", "--dask", running.address, "--data", str(sample), "--rounds", "30"]
    with restored_tracking_uri():
        assert main(arguments) == 0
        assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "flight-delay version 1 was trained with the same parameters on the same data" in told
    client = load_mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)
    version = client.get_model_version_by_alias("flight-delay", "champion")
    assert client.get_run(version.run_id).data.params["workers"] == "2"
    assert main(["score", CHAMPION, str(instances), str(tmp_path / "out")]) == 0
    assert f"in {N_PARTITIONS} partition(s)" in capsys.readouterr().out
    assert main(["score", CHAMPION, str(tmp_path), str(tmp_path / "out")]) == 1
    assert "a folder of their own" in capsys.readouterr().err
