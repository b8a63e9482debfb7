"""Scoring on a real cluster of processes: what the service answers, also when a worker is killed."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from app.errors import ModelUnfit
from model.distributed.cluster import Cluster, connect
from model.errors import ClusterUnusable, DataInvalid
from model.scoring.job import Model, check_with
from model.scoring.partitions import list_partitions
from tests.dask_clusters import RunningCluster, Watching, end_process, run_cluster
from tests.equality import assert_same_bits
from tests.integration.distributed.jobs import N_PARTITIONS, read_files, score_champion
from tests.integration.training import Trained
from tests.services import FakeRegistry, run_service

# MLflow 3.17 itself, as it writes an input example with pandas 3.
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")


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
    assert 6 <= len(begun) < N_PARTITIONS
    scored = score_champion(instances, target, cluster.map)
    assert scored.n_kept == len(begun)
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
    model = Model("models:/flight-delay/1", "not what the command has loaded")
    found = list_partitions(instances, tmp_path / "out")
    with pytest.raises(ModelUnfit, match="the same registry, the same checkout and the same requirements"):
        list(cluster.map(partial(check_with, model), found))


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
