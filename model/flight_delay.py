"""The example from end to end: the flights of 2013, trained, measured and registered as `flight-delay`."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from app.artifacts import DataDescription
from app.registry.store import PROJECT_ROOT
from model.dataset import Dataset
from model.evaluation import evaluate, evaluate_months
from model.features import FEATURES, LATE_AFTER_MIN, build_dataset
from model.names import CHAMPION, MODEL_NAME
from model.packaging import ModelDescription, importances, pack_model
from model.parameters import TrainingParameters
from model.plots import Curve, plot_calibration, plot_importance, plot_roc
from model.progress import Progress
from model.provenance import library_versions, read_commit
from model.registration import Experiment, RegisteredVersion, RunRecord
from model.split import Split, split_by_time
from model.tables import TIME_ZONE, DataSource, read_tables
from model.training import FittedModel, check_device, fit_model

STOP_FROM = pd.Timestamp("2013-09-01", tz=TIME_ZONE)
TEST_FROM = pd.Timestamp("2013-11-01", tz=TIME_ZONE)

DESCRIPTION = ModelDescription(
    prediction=f"probability that the flight arrives more than {LATE_AFTER_MIN} minutes late",
    decision_threshold=0.5,
    # New destinations open during the year, and a flight there has a delay all the same.
    unknown_category="missing",
    features=FEATURES,
)


@dataclass(frozen=True)
class TrainedVersion:
    """What a training run came to: the model version and its metrics."""

    registered: RegisteredVersion
    metrics: dict[str, float]


def train(
    parameters: TrainingParameters, source: DataSource, tracking_uri: str, promote: bool, progress: Progress
) -> TrainedVersion:
    """
    Train the example and register it.

    Parameters
    ----------
    parameters : TrainingParameters
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
    check_device(parameters.device)
    progress.say(f"importing MLflow, and opening {tracking_uri}")
    experiment = Experiment(tracking_uri, MODEL_NAME)
    progress.say(f"reading flights, weather and planes of {source.name}")
    dataset = _read_dataset(source, progress)
    split = split_by_time(dataset, STOP_FROM, TEST_FROM)
    progress.say(
        f"fitting on {_describe(split.fit)}, stopping on {_describe(split.stop)}, testing on {_describe(split.test)}"
    )
    model = fit_model(split, parameters, progress)
    progress.say("measuring, also month by month")
    curves = _predict_sides(model, split)
    metrics = _measure(curves, split)
    data = describe_data(source, dataset, split)
    commit = read_commit(PROJECT_ROOT)
    record = RunRecord(
        parameters={
            **asdict(parameters),
            "n_rounds": model.n_rounds,
            "stop_from": f"{STOP_FROM:%Y-%m-%d}",
            "test_from": f"{TEST_FROM:%Y-%m-%d}",
            "data": data.name,
            "data_sha256": data.sha256,
            **{f"{side}_rows": curve.outcomes.size for side, curve in curves.items()},
        },
        metrics=metrics,
        round_scores=model.stop_scores,
        figures={
            "plots/roc.png": plot_roc([curves["test"], curves["fit"]]),
            "plots/calibration.png": plot_calibration([curves["test"], curves["fit"]]),
            "plots/importance.png": plot_importance(importances(model.booster)),
        },
        tags={"git_commit": commit or "none", **{f"library.{n}": v for n, v in library_versions().items()}},
    )
    progress.say("logging the run, and registering the model version")
    with tempfile.TemporaryDirectory() as folder:
        package = pack_model(Path(folder), model, split, curves["fit"].predictions, DESCRIPTION, data, metrics, commit)
        registered = experiment.register(MODEL_NAME, record, package, CHAMPION if promote else None)
    return TrainedVersion(registered, metrics)


def describe_data(source: DataSource, dataset: Dataset, split: Split) -> DataDescription:
    """What the card says of the data: all of it by its digest, and the rows that the trees are grown on."""
    return DataDescription(
        name=source.name,
        sha256=dataset.digest(),
        n_rows=split.fit.n_rows,
        first=split.fit.moments.min().isoformat(),
        last=split.fit.moments.max().isoformat(),
    )


def _read_dataset(source: DataSource, progress: Progress) -> Dataset:
    tables = read_tables(source)
    dataset, n_dropped = build_dataset(tables)
    no_weather = int(dataset.features["temp"].isna().sum())
    progress.say(
        f"{len(tables.flights):,} flights; {n_dropped:,} cancelled or diverted, without an outcome, are dropped; "
        f"{no_weather:,} others have no weather; {tables.n_mended} known wrong value(s) made missing"
    )
    return dataset


def _describe(side: Dataset) -> str:
    first, last = side.moments.min(), side.moments.max()
    return f"{side.n_rows:,} flights ({first:%b} to {last:%b}, {side.outcomes.mean():.0%} late)"


def _predict_sides(model: FittedModel, split: Split) -> dict[str, Curve]:
    sides = {"fit": split.fit, "stop": split.stop, "test": split.test}
    return {
        name: Curve(
            f"{name} ({side.moments.min():%b} to {side.moments.max():%b})", side.outcomes, model.predict(side.features)
        )
        for name, side in sides.items()
    }


def _measure(curves: dict[str, Curve], split: Split) -> dict[str, float]:
    threshold = DESCRIPTION.decision_threshold
    metrics = {
        f"{side}_{name}": value
        for side, curve in curves.items()
        for name, value in evaluate(curve.outcomes, curve.predictions, threshold).items()
    }
    later = [curves["stop"], curves["test"]]
    return metrics | evaluate_months(
        np.concatenate([curve.outcomes for curve in later]),
        np.concatenate([curve.predictions for curve in later]),
        pd.concat([split.stop.moments, split.test.moments]),
        threshold,
    )
