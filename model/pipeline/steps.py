"""A project from end to end, in steps: data, split, forest, measures, registered model version."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from app.artifacts import DataDescription
from app.registry.store import PROJECT_ROOT
from model.datasets.dataset import Dataset, check_dataset
from model.datasets.parquet import dvc_digest, to_parquet
from model.datasets.split import Split, midnight, split_by_time
from model.errors import TrainingError
from model.names import CHAMPION, MODEL_NAME
from model.parameters import Parameters
from model.progress import Progress
from model.project import Project
from model.registry.packaging import importances, pack_model
from model.registry.provenance import digest_recipe, library_versions, read_commit
from model.registry.registration import RECIPE_TAG, Experiment, FinishedRun, RegisteredVersion, RunRecord
from model.registry.versions import Versions
from model.training.fit import FittedModel, check_device, fit_model
from model.training.plots import plot_importance
from model.training.task import Curve, evaluate_months

if TYPE_CHECKING:
    from model.distributed.cluster import Cluster  # needs Dask, which is not installed with the rest


@dataclass(frozen=True)
class Sides:
    """What a model answers the rows of each side of its split, and how well."""

    fit: Curve
    stop: Curve
    test: Curve
    metrics: dict[str, float]


def train(
    project: Project,
    parameters: Parameters,
    folder: Path | None,
    tracking_uri: str,
    is_promoted: bool,
    progress: Progress,
    cluster: Cluster | None = None,
) -> FinishedRun:
    """
    Train and register, unless that was done: what the stages of `dvc.yaml` do, in one process.

    Parameters
    ----------
    project : Project
    parameters : Parameters
    folder : pathlib.Path or None
        Where the data is; None is where it is published.
    tracking_uri : str
        MLflow's.
    is_promoted : bool
        Whether the model version becomes the champion, ungated.
    progress : Progress
    cluster : Cluster or None
        Where the forest is grown; None is this process.

    Raises
    ------
    TrainingError
        If the data, the device, the cluster or the registry is not fit for it.
    """
    # First of all, so that a missing device or server is told before the work and not after it.
    if cluster is None:
        check_device(parameters.train.device)
    progress.say(f"importing MLflow, and opening {tracking_uri}")
    experiment = Experiment(tracking_uri, MODEL_NAME)
    progress.say(f"reading {project.name_source(folder)}")
    dataset = read_instances(project, folder, parameters.until, progress)
    return train_on(
        project, dataset, project.name_source(folder), parameters, experiment, is_promoted, progress, cluster
    )


def train_on(
    project: Project,
    dataset: Dataset,
    source: str,
    parameters: Parameters,
    experiment: Experiment,
    is_promoted: bool,
    progress: Progress,
    cluster: Cluster | None = None,
) -> FinishedRun:
    """Do the same with data that was read, whose source has a name, and an experiment that is open."""
    split = split_dataset(project, dataset, parameters)
    data = describe_data(source, dataset, split)
    if known := find_known(experiment, parameters, data, progress, 1 if cluster is None else cluster.n_workers):
        return replace(known, registered=_promote(experiment, known.registered)) if is_promoted else known
    model = fit(project, split, parameters, progress, cluster)
    progress.say("measuring, also month by month")
    sides = measure(project, model, split)
    progress.say("logging the run, and registering the model version")
    return FinishedRun(register(project, experiment, model, split, sides, data, parameters, is_promoted), sides.metrics)


def read_instances(project: Project, folder: Path | None, until: str, progress: Progress) -> Dataset:
    """
    Let a project read its data of a month, such as ``2013-12``, and of those before it.

    Raises
    ------
    DataInvalid
        If what it makes of it is not what it has declared.
    TrainingError
        If there is nothing until then.
    """
    dataset = project.read(folder, until, progress)
    check_dataset(dataset, project.description.features)
    return until_month(project, dataset, until)


def until_month(project: Project, dataset: Dataset, until: str) -> Dataset:
    """The rows of a month and of those before it; `TrainingError` if there are none."""
    end = midnight(pd.Timestamp(f"{until}-01") + pd.offsets.MonthBegin(), project.time_zone)
    if (first := dataset.moments.min()) >= end:
        raise TrainingError(f"there are no rows until {until}, which is data.until; they begin with {first:%Y-%m}")
    return dataset.select((dataset.moments < end).to_numpy())


def find_known(
    experiment: Experiment, parameters: Parameters, data: DataDescription, progress: Progress, n_workers: int = 1
) -> FinishedRun | None:
    """Find the model version that was made with the same parameters of the same data before, and say so."""
    known = experiment.find(MODEL_NAME, digest_recipe(_made_with(parameters, n_workers), data.sha256))
    if known is not None:
        registered = known.registered
        progress.say(
            f"{registered.name} version {registered.version} was trained with the same parameters on the same data"
        )
    return known


def split_dataset(project: Project, dataset: Dataset, parameters: Parameters) -> Split:
    """
    Split where the parameters say, at midnight of the project's clock.

    Raises
    ------
    TrainingError
        If a side has nothing that can be learnt or measured.
    """
    stop_from, test_from = (_midnight(project, day) for day in (parameters.stop_from, parameters.test_from))
    split = split_by_time(dataset, stop_from, test_from)
    for name, side in split.sides.items():
        try:
            project.task.check(side.outcomes)
        except ValueError as error:
            raise TrainingError(
                f"the {name} rows {error}; they are split at {stop_from:%Y-%m-%d} and {test_from:%Y-%m-%d}"
            ) from None
    return split


def fit(
    project: Project, split: Split, parameters: Parameters, progress: Progress, cluster: Cluster | None = None
) -> FittedModel:
    """Grow the forest, here or on a cluster, and say on what."""
    progress.say(
        f"fitting on {_describe(project, split.fit)}, stopping on {_describe(project, split.stop)}, "
        f"testing on {_describe(project, split.test)}"
    )
    if cluster is None:
        return fit_model(split, project.task, parameters.train, progress)
    from model.distributed.training import fit_on_cluster

    return fit_on_cluster(cluster, split, project.task, parameters.train, progress)


def measure(project: Project, model: FittedModel, split: Split) -> Sides:
    """Measure each side, and each month that the model was not fitted on."""
    curves = {
        name: Curve(f"{name} ({_describe_time(side)})", side.outcomes, model.predict(side.features))
        for name, side in split.sides.items()
    }
    metrics = {
        f"{side}_{name}": value
        for side, curve in curves.items()
        for name, value in project.task.evaluate(curve.outcomes, curve.predictions).items()
    }
    later = [curves["stop"], curves["test"]]
    months = evaluate_months(
        project.task,
        np.concatenate([curve.outcomes for curve in later]),
        np.concatenate([curve.predictions for curve in later]),
        pd.concat([split.stop.moments, split.test.moments]),
    )
    return Sides(**curves, metrics=metrics | months)


def describe_data(name: str, dataset: Dataset, split: Split) -> DataDescription:
    """What the card says of the data: all of it by its digests, and the rows that the trees are grown on."""
    return DataDescription(
        name=name,
        sha256=dataset.digest(),
        dvc=dvc_digest(to_parquet(dataset)),
        n_rows=split.fit.n_rows,
        first=split.fit.moments.min().isoformat(),
        last=split.fit.moments.max().isoformat(),
    )


def register(
    project: Project,
    experiment: Experiment,
    model: FittedModel,
    split: Split,
    sides: Sides,
    data: DataDescription,
    parameters: Parameters,
    is_promoted: bool,
) -> RegisteredVersion:
    """Log a run with all that is known of the model, and register the model version."""
    commit = read_commit(PROJECT_ROOT)
    record = RunRecord(
        parameters={
            **_made_with(parameters, model.n_workers),
            "n_rounds": model.n_rounds,
            "data": data.name,
            "data_sha256": data.sha256,
            "data_dvc": data.dvc,
            **{f"{name}_rows": side.n_rows for name, side in split.sides.items()},
        },
        metrics=sides.metrics,
        round_scores=model.stop_scores,
        figures={
            **project.task.plot([sides.test, sides.fit]),
            "plots/importance.png": plot_importance(importances(model.booster)),
        },
        tags={
            "git_commit": commit or "none",
            RECIPE_TAG: digest_recipe(_made_with(parameters, model.n_workers), data.sha256),
            **{f"library.{name}": version for name, version in library_versions().items()},
        },
    )
    with tempfile.TemporaryDirectory() as temporary:
        package = pack_model(
            Path(temporary),
            model,
            split,
            sides.fit.predictions,
            project.description,
            project.task,
            data,
            sides.metrics,
            commit,
        )
        registered = experiment.register(MODEL_NAME, record, package)
    return _promote(experiment, registered) if is_promoted else registered


def _promote(experiment: Experiment, registered: RegisteredVersion) -> RegisteredVersion:
    versions = Versions(experiment, registered.name)
    if versions.find(CHAMPION) != registered.version:
        versions.promote(registered.version, "by training, and not by the gate")
    return replace(registered, alias=CHAMPION)


def _made_with(parameters: Parameters, n_workers: int) -> dict[str, int | float | str]:
    """All that a model depends on, given its data: on one worker of a cluster it is that of a single process."""
    return parameters.of_model() | ({} if n_workers == 1 else {"workers": n_workers})


def _midnight(project: Project, day: date) -> pd.Timestamp:
    return midnight(pd.Timestamp(day), project.time_zone)


def _describe(project: Project, side: Dataset) -> str:
    return f"{side.n_rows:,} rows ({_describe_time(side)}, {project.task.describe(side.outcomes)})"


def _describe_time(side: Dataset) -> str:
    return f"{side.moments.min():%b %Y} to {side.moments.max():%b %Y}"
