"""
The steps that `dvc.yaml` is made of, each from files to files: ``python -m model stage NAME``.

DVC keeps what they write by its digest, and runs a step only if what it reads has changed. So each writes the same
bytes for the same input, but for `register`, which tells MLflow.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from sklearn.metrics import roc_curve

from app.registry.store import PROJECT_ROOT, registry_uri, tracking_uri
from model.dataset_file import read_dataset, to_parquet
from model.evaluation import calibration_curve
from model.fetch import fetch
from model.flight_delay import Sides, describe_data, find_known, fit, make_dataset, measure, register, split_dataset
from model.names import MODEL_NAME, find_champion
from model.packaging import importances
from model.parameters import read_parameters
from model.progress import Progress
from model.registration import Experiment
from model.tables import find_data, months_of, read_tables
from model.training import FittedModel, check_device

DATA = PROJECT_ROOT / "model" / "data"
RAW, PREPARED, FITTED = DATA / "raw", DATA / "prepared.parquet", DATA / "fitted"
REPORTS = PROJECT_ROOT / "model" / "reports"
_N_POINTS = 200  # of a curve that is drawn


def run_fetch(progress: Progress) -> None:
    """Let the months arrive that have."""
    source = find_data()
    months = fetch(source, RAW, read_parameters().until)
    progress.say(f"{len(months)} months of {source.name}, {months[0]} to {months[-1]}, are in {_relative(RAW)}")


def run_validate(progress: Progress) -> None:
    """Check every value, and say what there is of each month."""
    tables = read_tables(find_data(RAW))
    flights = tables.flights
    report = flights.groupby(months_of(flights).rename("month")).agg(
        flights=("dest", "size"),
        without_outcome=("arr_delay", lambda delays: delays.isna().sum()),
        destinations=("dest", "nunique"),
    )
    _write_csv("data", report.reset_index())
    progress.say(f"{len(flights):,} flights are as they should be")


def run_prepare(progress: Progress) -> None:
    """Join the tables to the data set."""
    dataset = make_dataset(read_tables(find_data(RAW)), progress)
    PREPARED.write_bytes(to_parquet(dataset))


def run_train(progress: Progress) -> None:
    """Grow the forest."""
    parameters = read_parameters()
    check_device(parameters.train.device)
    model = fit(split_dataset(read_dataset(PREPARED), parameters), parameters, progress)
    model.save(FITTED)


def run_evaluate(progress: Progress) -> None:
    """Measure it, and write what is drawn of it."""
    parameters, model = read_parameters(), FittedModel.load(FITTED)
    sides = measure(model, split_dataset(read_dataset(PREPARED), parameters))
    # Processors differ in the last digits of a sum, and the report is to be the same.
    metrics = {name: round(value, 6) for name, value in sides.metrics.items() if not name.startswith("month_")}
    (REPORTS / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    for name, points in _draw(model, sides).items():
        _write_csv(name, points)
    progress.say(f"AUC {sides.metrics['test_auc']:.4f} on the test rows")


def run_register(progress: Progress) -> None:
    """Log a run and register the model version; the first of all becomes the champion."""
    uri = tracking_uri(os.environ)
    parameters, model = read_parameters(), FittedModel.load(FITTED)
    dataset = read_dataset(PREPARED)
    split = split_dataset(dataset, parameters)
    source = f"{find_data().name} until {parameters.until}"
    data = describe_data(source, dataset, split)
    experiment = Experiment(uri, MODEL_NAME)
    if find_known(experiment, parameters, data, progress):
        return
    is_first = find_champion(registry_uri(os.environ)) is None
    registered = register(experiment, model, split, measure(model, split), data, parameters, promote=is_first)
    progress.say(f"{registered.name} version {registered.version} at {uri}, run {registered.run_id}")


STAGES: Mapping[str, Callable[[Progress], None]] = {
    "fetch": run_fetch,
    "validate": run_validate,
    "prepare": run_prepare,
    "train": run_train,
    "evaluate": run_evaluate,
    "register": run_register,
}


def _draw(model: FittedModel, sides: Sides) -> dict[str, pd.DataFrame]:
    """Points of the curves, by the file that has them."""
    roc, calibration = [], []
    for side in (sides.fit, sides.test):
        name = side.name.partition(" ")[0]
        false, true, _ = roc_curve(side.outcomes, side.predictions)
        chosen = [round(at * (len(false) - 1) / (_N_POINTS - 1)) for at in range(_N_POINTS)]
        roc.append(
            pd.DataFrame({"side": name, "false_positive_rate": false[chosen], "true_positive_rate": true[chosen]})
        )
        predicted, observed, _ = calibration_curve(side.outcomes, side.predictions)
        calibration.append(pd.DataFrame({"side": name, "predicted": predicted, "observed": observed}))
    gains = importances(model.booster)
    months = {name[6:8]: value for name, value in sides.metrics.items() if re.fullmatch(r"month_\d\d_auc", name)}
    return {
        "months": pd.DataFrame({"month": list(months), "auc": list(months.values())}),
        "roc": pd.concat(roc),
        "calibration": pd.concat(calibration),
        "importance": pd.DataFrame({"feature": list(gains), "gain": list(gains.values())}),
        "stopping": pd.DataFrame({"round": range(1, len(model.stop_scores) + 1), "auc": model.stop_scores}),
    }


def _write_csv(name: str, points: pd.DataFrame) -> None:
    REPORTS.mkdir(exist_ok=True)
    points.to_csv(REPORTS / f"{name}.csv", index=False, lineterminator="\n", float_format="%.6g")


def _relative(path: Path) -> Path:
    return path.relative_to(PROJECT_ROOT)
