"""The example from end to end: the flights of 2013, trained, measured and registered as `flight-delay`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from app.artifacts import DataDescription
from app.registry.store import PROJECT_ROOT
from model.dataset import Dataset
from model.dataset_file import dvc_digest, to_parquet
from model.evaluation import evaluate, evaluate_months
from model.features import FEATURES, LATE_AFTER_MIN, build_dataset
from model.names import CHAMPION, MODEL_NAME
from model.packaging import ModelDescription, importances, pack_model
from model.parameters import Parameters
from model.plots import Curve, plot_calibration, plot_importance, plot_roc
from model.progress import Progress
from model.provenance import digest_recipe, library_versions, read_commit
from model.registration import RECIPE_TAG, Experiment, FinishedRun, RegisteredVersion, RunRecord
from model.split import Split, split_by_time
from model.tables import TIME_ZONE, DataSource, Tables, read_tables
from model.training import FittedModel, check_device, fit_model

DESCRIPTION = ModelDescription(
    prediction=f"probability that the flight arrives more than {LATE_AFTER_MIN} minutes late",
    decision_threshold=0.5,
    # New destinations open during the year, and a flight there has a delay all the same.
    unknown_category="missing",
    features=FEATURES,
)


@dataclass(frozen=True)
class Sides:
    """What a model answers the rows of each side of its split, and how well."""

    fit: Curve
    stop: Curve
    test: Curve
    metrics: dict[str, float]


def train(
    parameters: Parameters, source: DataSource, tracking_uri: str, promote: bool, progress: Progress
) -> FinishedRun:
    """
    Train the example and register it, unless that was done: what the stages of `dvc.yaml` do, in one process.

    Parameters
    ----------
    parameters : Parameters
    source : DataSource
    tracking_uri : str
        MLflow's.
    promote : bool
        Whether the alias `champion` moves to the new model version.
    progress : Progress

    Raises
    ------
    TrainingError
        If the data, the device or the registry is not fit for it.
    """
    # First of all, so that a missing device or server is told before the work and not after it.
    check_device(parameters.train.device)
    progress.say(f"importing MLflow, and opening {tracking_uri}")
    experiment = Experiment(tracking_uri, MODEL_NAME)
    progress.say(f"reading flights, weather and planes of {source.name}")
    dataset = make_dataset(read_tables(source), progress)
    split = split_dataset(dataset, parameters)
    data = describe_data(source.name, dataset, split)
    if known := find_known(experiment, parameters, data, progress):
        return replace(known, registered=experiment.promote(known.registered, CHAMPION)) if promote else known
    model = fit(split, parameters, progress)
    progress.say("measuring, also month by month")
    sides = measure(model, split)
    progress.say("logging the run, and registering the model version")
    return FinishedRun(register(experiment, model, split, sides, data, parameters, promote), sides.metrics)


def find_known(
    experiment: Experiment, parameters: Parameters, data: DataDescription, progress: Progress
) -> FinishedRun | None:
    """Find the model version that was made with the same parameters of the same data before, and say so."""
    known = experiment.find(MODEL_NAME, digest_recipe(parameters.of_model(), data.sha256))
    if known is not None:
        registered = known.registered
        progress.say(
            f"{registered.name} version {registered.version} was trained with the same parameters on the same data"
        )
    return known


def make_dataset(tables: Tables, progress: Progress) -> Dataset:
    """Join the tables, and say what they have."""
    dataset, n_dropped = build_dataset(tables)
    no_weather = int(dataset.features["temp"].isna().sum())
    progress.say(
        f"{len(tables.flights):,} flights; {n_dropped:,} cancelled or diverted, without an outcome, are dropped; "
        f"{no_weather:,} others have no weather; {tables.n_mended} known wrong value(s) made missing"
    )
    return dataset


def split_dataset(dataset: Dataset, parameters: Parameters) -> Split:
    """Split where the parameters say, at midnight in New York."""
    return split_by_time(dataset, _midnight(parameters.stop_from), _midnight(parameters.test_from))


def fit(split: Split, parameters: Parameters, progress: Progress) -> FittedModel:
    """Grow the forest, and say on what."""
    progress.say(
        f"fitting on {_describe(split.fit)}, stopping on {_describe(split.stop)}, testing on {_describe(split.test)}"
    )
    return fit_model(split, parameters.train, progress)


def measure(model: FittedModel, split: Split) -> Sides:
    """Measure each side, and each month that the model was not fitted on."""
    curves = {
        name: Curve(
            f"{name} ({side.moments.min():%b} to {side.moments.max():%b})", side.outcomes, model.predict(side.features)
        )
        for name, side in split.sides.items()
    }
    threshold = DESCRIPTION.decision_threshold
    metrics = {
        f"{side}_{name}": value
        for side, curve in curves.items()
        for name, value in evaluate(curve.outcomes, curve.predictions, threshold).items()
    }
    later = [curves["stop"], curves["test"]]
    months = evaluate_months(
        np.concatenate([curve.outcomes for curve in later]),
        np.concatenate([curve.predictions for curve in later]),
        pd.concat([split.stop.moments, split.test.moments]),
        threshold,
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
    experiment: Experiment,
    model: FittedModel,
    split: Split,
    sides: Sides,
    data: DataDescription,
    parameters: Parameters,
    promote: bool,
) -> RegisteredVersion:
    """Log a run with all that is known of the model, and register the model version."""
    commit = read_commit(PROJECT_ROOT)
    record = RunRecord(
        parameters={
            **parameters.of_model(),
            "n_rounds": model.n_rounds,
            "data": data.name,
            "data_sha256": data.sha256,
            "data_dvc": data.dvc,
            **{f"{name}_rows": side.n_rows for name, side in split.sides.items()},
        },
        metrics=sides.metrics,
        round_scores=model.stop_scores,
        figures={
            "plots/roc.png": plot_roc([sides.test, sides.fit]),
            "plots/calibration.png": plot_calibration([sides.test, sides.fit]),
            "plots/importance.png": plot_importance(importances(model.booster)),
        },
        tags={
            "git_commit": commit or "none",
            RECIPE_TAG: digest_recipe(parameters.of_model(), data.sha256),
            **{f"library.{name}": version for name, version in library_versions().items()},
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        package = pack_model(
            Path(folder), model, split, sides.fit.predictions, DESCRIPTION, data, sides.metrics, commit
        )
        return experiment.register(MODEL_NAME, record, package, CHAMPION if promote else None)


def _midnight(day: date) -> pd.Timestamp:
    return pd.Timestamp(day, tz=TIME_ZONE)


def _describe(side: Dataset) -> str:
    first, last = side.moments.min(), side.moments.max()
    return f"{side.n_rows:,} flights ({first:%b} to {last:%b}, {side.outcomes.mean():.0%} late)"
