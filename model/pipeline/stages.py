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
import yaml

from app.registry.store import PROJECT_ROOT, registry_uri, tracking_uri
from model.datasets.parquet import read_dataset, to_parquet
from model.names import MODEL_NAME, find_champion
from model.parameters import read_parameters
from model.pipeline.steps import Sides, describe_data, find_known, fit, measure, read_instances, register, split_dataset
from model.progress import Progress
from model.project import Project
from model.registry.packaging import importances
from model.registry.registration import Experiment
from model.training.fit import FittedModel, check_device
from model.training.task import Chart

DATA = PROJECT_ROOT / "model" / "data"
RAW, PREPARED, FITTED = DATA / "raw", DATA / "prepared.parquet", DATA / "fitted"
REPORTS = PROJECT_ROOT / "model" / "reports"
CURVES = REPORTS / "curves"
_DVC_FILE = """# Written by the stage `evaluate`: how DVC draws what is in curves/.
"""


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
    PREPARED.write_bytes(to_parquet(read_instances(project, RAW, read_parameters().until, progress)))


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
    charts = _make_charts(project, model, sides)
    for name, chart in charts.items():
        _write_csv(f"{CURVES.name}/{name}", chart.points)
    _declare_plots(charts)
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
    is_first = find_champion(registry_uri(os.environ)) is None
    sides = measure(project, model, split)
    registered = register(project, experiment, model, split, sides, data, parameters, is_first)
    progress.say(f"{registered.name} version {registered.version} at {uri}, run {registered.run_id}")


STAGES: Mapping[str, Callable[[Project, Progress], None]] = {
    "fetch": run_fetch,
    "validate": run_validate,
    "prepare": run_prepare,
    "train": run_train,
    "evaluate": run_evaluate,
    "register": run_register,
}


def _make_charts(project: Project, model: FittedModel, sides: Sides) -> dict[str, Chart]:
    """What is drawn, by the name of the file that has its points."""
    gains, headline = importances(model.booster), project.task.headline
    metric = project.task.booster_parameters["eval_metric"]
    by_month = re.compile(rf"month_(\d\d)_{headline}")
    months = {found[1]: value for name, value in sides.metrics.items() if (found := by_month.fullmatch(name))}
    return {
        **project.task.chart([sides.fit, sides.test]),
        "months": Chart(
            pd.DataFrame({"month": list(months), headline: list(months.values())}),
            f"{_in_words(headline)} by month",
            "month",
            headline,
        ),
        "importance": Chart(
            pd.DataFrame({"feature": list(gains), "gain": list(gains.values())}),
            "Total gain",
            "gain",
            "feature",
            "bar_horizontal",
        ),
        "stopping": Chart(
            pd.DataFrame({"round": range(1, len(model.stop_scores) + 1), metric: model.stop_scores}),
            f"{_in_words(metric)} on the stopping rows",
            "round",
            metric,
        ),
    }


def _in_words(metric: str) -> str:
    return metric.replace("_", " ") if "_" in metric else metric.upper()


def _declare_plots(charts: Mapping[str, Chart]) -> None:
    """Tell DVC how they are drawn, in a file of its own, for `dvc.yaml` is the same for every task."""
    plots = [
        {
            f"{CURVES.name}/{name}.csv": {
                "title": chart.title, "template": chart.template, "x": chart.x, "y": chart.y
            }
        }
        for name, chart in charts.items()
    ]  # fmt: skip
    text = _DVC_FILE + yaml.safe_dump({"plots": plots}, sort_keys=False)
    (REPORTS / "dvc.yaml").write_text(text, encoding="utf-8")


def _write_csv(name: str, points: pd.DataFrame) -> None:
    path = REPORTS / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    points.to_csv(path, index=False, lineterminator="\n", float_format="%.6g")


def _relative(path: Path) -> Path:
    return path.relative_to(PROJECT_ROOT)
