"""What tests have a cluster do, and how they look at what came of it."""

from __future__ import annotations

from pathlib import Path

from model.datasets.split import Split
from model.distributed.cluster import Cluster
from model.distributed.training import fit_on_cluster
from model.flights.project import PROJECT
from model.parameters import TrainingParameters
from model.progress import Progress
from model.scoring.job import Each, Scored, in_this_process, score
from model.training.fit import FittedModel
from tests.dask_clusters import Watching
from tests.parameters import make_parameters

CHAMPION = "models:/flight-delay@champion"
N_PARTITIONS = 30
# Rounds enough for a worker to be killed in the middle of them.
LONG = make_parameters(rounds=100, stopping_rounds=100).train


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
    return score(CHAMPION, source, target, each, progress or Watching())


def read_files(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def raw(model: FittedModel) -> bytes:
    """The booster's file."""
    return bytes(model.booster.save_raw("ubj"))
