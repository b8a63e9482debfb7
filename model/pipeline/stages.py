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

from app.registry.store import PROJECT_ROOT, registry_uri, tracking_uri
from model.datasets.parquet import read_dataset, to_parquet
from model.names import CHAMPION, MODEL_NAME, find_champion
from model.parameters import read_parameters
from model.pipeline.steps import Sides, describe_data, find_known, fit, measure, register, split_dataset
from model.progress import Progress
from model.project import Project
from model.registry.packaging import importances
from model.registry.registration import Experiment
from model.training.fit import FittedModel, check_device

DATA = PROJECT_ROOT / "model" / "data"
RAW, PREPARED, FITTED = DATA / "raw", DATA / "prepared.parquet", DATA / "fitted"
REPORTS = PROJECT_ROOT / "model" / "reports"


def run_fetch(project: Project, progress: Progress) -> None:
    """Let the months arrive that have."""
    months = project.fetch(RAW, read_parameters().until)
    source = project.name_source(None)
    progress.say(f"{len(months)} months of {source}, {months[0]} to {months[-1]}, are in {_relative(RAW)}")


def run_validate(project: Project, progress: Progress) -> None:
    """Check every value, and say what there is of each month."""
    report = project.count(RAW)
    _write_csv("data", report)
    progress.say(f"{len(report)} months are as they should be")


def run_prepare(project: Project, progress: Progress) -> None:
    """Make the data set."""
    PREPARED.write_bytes(to_parquet(project.read(RAW, progress)))


def run_train(project: Project, progress: Progress) -> None:
    """Grow the forest."""
    parameters = read_parameters()
    check_device(parameters.train.device)
    model = fit(project, split_dataset(project, read_dataset(PREPARED), parameters), parameters, progress)
    model.save(FITTED)


def run_evaluate(project: Project, progress: Progress) -> None:
    """Measure it, and write what is drawn of it."""
    parameters, model = read_parameters(), FittedModel.load(FITTED)
    sides = measure(project, model, split_dataset(project, read_dataset(PREPARED), parameters))
    # Processors differ in the last digits of a sum, and the report is to be the same.
    metrics = {name: round(value, 6) for name, value in sides.metrics.items() if not name.startswith("month_")}
    (REPORTS / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    for name, points in _tabulate(project, model, sides).items():
        _write_csv(name, points)
    headline = f"test_{project.task.headline}"
    progress.say(f"{headline} {sides.metrics[headline]:.4f}")


def run_register(project: Project, progress: Progress) -> None:
    """Log a run and register the model version; the first of all becomes the champion."""
    uri = tracking_uri(os.environ)
    parameters, model = read_parameters(), FittedModel.load(FITTED)
    dataset = read_dataset(PREPARED)
    split = split_dataset(project, dataset, parameters)
    data = describe_data(f"{project.name_source(None)} until {parameters.until}", dataset, split)
    experiment = Experiment(uri, MODEL_NAME)
    if find_known(experiment, parameters, data, progress):
        return
    alias = CHAMPION if find_champion(registry_uri(os.environ)) is None else None
    sides = measure(project, model, split)
    registered = register(project, experiment, model, split, sides, data, parameters, alias)
    progress.say(f"{registered.name} version {registered.version} at {uri}, run {registered.run_id}")


STAGES: Mapping[str, Callable[[Project, Progress], None]] = {
    "fetch": run_fetch,
    "validate": run_validate,
    "prepare": run_prepare,
    "train": run_train,
    "evaluate": run_evaluate,
    "register": run_register,
}


def _tabulate(project: Project, model: FittedModel, sides: Sides) -> dict[str, pd.DataFrame]:
    """Points of the curves, by the file that has them."""
    gains, headline = importances(model.booster), project.task.headline
    by_month = re.compile(rf"month_(\d\d)_{headline}")
    months = {found[1]: value for name, value in sides.metrics.items() if (found := by_month.fullmatch(name))}
    return {
        **project.task.tabulate([sides.fit, sides.test]),
        "months": pd.DataFrame({"month": list(months), headline: list(months.values())}),
        "importance": pd.DataFrame({"feature": list(gains), "gain": list(gains.values())}),
        "stopping": pd.DataFrame(
            {
                "round": range(1, len(model.stop_scores) + 1),
                project.task.booster_parameters["eval_metric"]: model.stop_scores,
            }
        ),
    }


def _write_csv(name: str, points: pd.DataFrame) -> None:
    REPORTS.mkdir(exist_ok=True)
    points.to_csv(REPORTS / f"{name}.csv", index=False, lineterminator="\n", float_format="%.6g")


def _relative(path: Path) -> Path:
    return path.relative_to(PROJECT_ROOT)
