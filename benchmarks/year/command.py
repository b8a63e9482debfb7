"""``python -m benchmarks year``: what it takes, from the first model to the report."""

from __future__ import annotations

import io
import shutil
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks.report import FOLDER
from benchmarks.year.flights import weeks_of
from benchmarks.year.record import Record
from benchmarks.year.replay import Replay
from benchmarks.year.services import asked_all_the_time, run_service
from model.datasets.dataset import Dataset
from model.datasets.instances import to_instances
from model.names import CHALLENGER, CHAMPION, MODEL_NAME
from model.parameters import Parameters, read_parameters
from model.pipeline.steps import train_on
from model.progress import Progress
from model.project import load_project
from model.registry.registration import Experiment
from tests.mlflow_server import run_mlflow_on
from tests.processes import free_port

FIRST_TRAINED_ON = "2013-02"
MONTHS = [f"2013-{month:02}" for month in range(3, 13)]


def run() -> int:
    """Play the year, and write the report and the chart; the exit status."""
    from benchmarks.year.page import write_page

    folder = FOLDER / "year"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    progress = Progress()
    record = play(folder, MONTHS, read_parameters(), None, progress)
    record.write(folder / "record.json")
    for file in write_page(record, folder):
        progress.say(f"written: {file}")
    failed = len(record.failures)
    print(
        f"\n{record.n_requests:,} requests, {failed} failed; {len(MONTHS)} months in {record.took_s / 60:.0f} minutes"
    )
    return 1 if failed else 0


def play(
    folder: Path, months: list[str], parameters: Parameters, data: Path | None, progress: Progress, changes: str = ""
) -> Record:
    """
    Play some months.

    Parameters
    ----------
    folder : pathlib.Path
        For all that is written, the registry too.
    months : list of str
    parameters : Parameters
        Of the first model, but for its split.
    data : pathlib.Path or None
        The data's files; None for where they are published.
    progress : Progress
    changes : str
        Python code that is run before the services.
    """
    begun = time.monotonic()
    project = load_project()
    dataset = project.read(data, MONTHS[-1], progress)
    port = free_port()
    stores = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    stores += ["--artifacts-destination", str(folder / "artifacts")]
    progress.say("starting MLflow")
    with run_mlflow_on(stores, folder, port):
        uri = f"http://127.0.0.1:{port}"
        _train_first(dataset, parameters, uri, progress)
        example = to_instances(dataset.features.dropna().head(1))[0]
        served = {
            "TREESERVE_MODEL_URI": f"models:/{MODEL_NAME}@{CHAMPION}",
            "TREESERVE_CHALLENGER_URI": f"models:/{MODEL_NAME}@{CHALLENGER}",
        }
        with (
            run_service(folder / "retrained", uri, example, changes, **served) as retrained,
            run_service(
                folder / "never", uri, example, changes, TREESERVE_MODEL_URI=f"models:/{MODEL_NAME}/1"
            ) as never,
            asked_all_the_time([retrained, never], example) as calls,
        ):
            replay = Replay(retrained, never, calls, folder, uri, FIRST_TRAINED_ON, data)
            for month in months:
                played = replay.play_month(list(weeks_of(dataset, [month], project.time_zone)))
                progress.say(
                    f"{month}: AUC {played.retrained.auc:.3f}, never retrained {played.never.auc:.3f}; "
                    f"{len(replay.record.events)} decisions so far"
                )
            replay.finish()
        record = replay.record
        record.n_requests += sum(caller.n_requests for caller in calls.callers)
        record.failures += [failure for caller in calls.callers for failure in caller.failures]
    record.took_s = time.monotonic() - begun
    return record


def _train_first(dataset: Dataset, parameters: Parameters, uri: str, progress: Progress) -> None:
    """Train on what there is before the first month."""
    project = load_project()
    split = replace(parameters, until=FIRST_TRAINED_ON, stop_from=date(2013, 2, 1), test_from=date(2013, 2, 15))
    end = pd.Timestamp(f"{FIRST_TRAINED_ON}-01", tz=project.time_zone) + pd.offsets.MonthBegin()
    known = dataset.select((dataset.moments < end).to_numpy())
    progress.say(f"training the first model on {known.n_rows:,} flights")
    source = f"{project.name_source(None)} until {FIRST_TRAINED_ON}"
    quiet = Progress(io.StringIO())
    train_on(project, known, source, split, Experiment(uri, MODEL_NAME), True, quiet)
