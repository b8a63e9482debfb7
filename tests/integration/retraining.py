"""A registry whose champion is weak, the logs of a service that asked both versions, and retraining on them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from model.datasets.dataset import Dataset
from model.flights.project import PROJECT
from model.gate.answers import answer, load_predictor
from model.observed.logs import LogFiles
from model.observed.period import ALWAYS
from model.pipeline.steps import train_on
from model.progress import Progress
from model.registry.registration import Experiment
from model.registry.versions import Versions
from model.retraining.cycle import Cycle
from model.retraining.lock import locked
from model.retraining.report import Report
from model.rules import read_gate_rules, read_retraining_rules
from tests.integration.training import NAME, QUICK
from tests.parameters import make_parameters

QUIET = Progress(io.StringIO())
WEAK = "1"
# December is worse than any month before it, and a few trees of a few flights do not know that.
GATE = replace(read_gate_rules(), calibration_error=0.2, calibration_loss=0.1)
_WRITES = ("set_", "delete_", "update_", "log_", "create_")


class KilledError(BaseException):
    """Stands for SIGKILL: nothing that the code could catch and make good."""


class Mortal:
    """MLflow's client, of a process that is killed before one of its writes."""

    def __init__(self, client: Any, lives: int | None = None) -> None:
        self._client = client
        self._lives = lives
        self.writes: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not name.startswith(_WRITES):
            return method

        def write(*arguments: Any, **named: Any) -> Any:
            if self._lives is not None and len(self.writes) >= self._lives:
                raise KilledError
            self.writes.append(name)
            return method(*arguments, **named)

        return write


@dataclass
class Loop:
    """
    A registry, and the data that its versions are made of.

    Attributes
    ----------
    experiment : Experiment
    versions : Versions
    dataset : Dataset
    folder : pathlib.Path
    """

    experiment: Experiment
    versions: Versions
    dataset: Dataset
    folder: Path

    def retrain(self, log: Path, lives: int | None = None, **changes: Any) -> Report:
        """Go one step on, in a process that is perhaps killed before one of its writes."""
        experiment, versions = self.experiment, self.versions
        if lives is not None:
            experiment = Experiment(self.uri, NAME)
            experiment._client = Mortal(experiment._client, lives)
            versions = Versions(experiment, NAME)
        given: dict[str, Any] = {
            "rules": read_retraining_rules(),
            "gate_rules": GATE,
            "dataset": self.dataset,
            "parameters": QUICK,
            "now": datetime.now(UTC),
        }
        cycle = Cycle(
            PROJECT,
            experiment,
            versions,
            source="a sample",
            logs=LogFiles([str(log)]),
            period=ALWAYS,
            progress=QUIET,
            **given | changes,
        )
        with self.locked(experiment) as lock:
            report = cycle.run(lock)
            report.log(experiment)
        return report

    @property
    def uri(self) -> str:
        """MLflow's."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def locked(self, experiment: Experiment) -> AbstractContextManager[Any]:
        """The lock, which is taken from whoever was killed: time passes."""
        with Experiment(self.uri, NAME).asking() as client:
            for model in client.search_registered_models(f"name LIKE '{NAME}.retraining.%'"):
                client.set_registered_model_tag(model.name, "expires_at", "2013-01-01T00:00:00+00:00")
        return locked(experiment, NAME)

    def state(self) -> dict[str, Any]:
        """All that a run leaves: aliases, tags and descriptions of the versions."""
        with self.experiment.asking() as client:
            versions = client.search_model_versions(f"name = '{NAME}'")
            return {
                "aliases": dict(client.get_registered_model(NAME).aliases),
                "versions": {version.version: (version.tags, version.description) for version in versions},
            }


def make_loop(folder: Path, dataset: Dataset) -> Loop:
    """Train a champion that is a single stump, of all but December, into a store that has its database already."""
    experiment = Experiment(f"sqlite:///{folder / 'mlflow.db'}", NAME)
    weak = make_parameters(rounds=1, max_depth=1)
    older = dataset.select((dataset.moments < "2013-12-01").to_numpy())
    train_on(PROJECT, older, "a sample", weak, experiment, True, QUIET)
    return Loop(experiment, Versions(experiment, NAME), dataset, folder)


def write_log(file: Path, rows: Dataset, champion: str, challenger: str = "", *, upside_down: bool = False) -> Path:
    """
    Write the lines of a service that was asked some rows, and told all their outcomes.

    Parameters
    ----------
    file : pathlib.Path
    rows : Dataset
    champion, challenger : str
        Versions; the second one shadows the first, if there is one.
    upside_down : bool
        Whether of the challenger's predictions the opposite comes true.
    """
    predictions = {version: _answers(version, rows) for version in (champion, challenger) if version}
    if upside_down:
        predictions[challenger] = 1 - predictions[challenger]
    begun = datetime.now(UTC) - timedelta(minutes=1)
    with file.open("w", encoding="utf-8") as lines:
        for row in range(rows.n_rows):
            at = (begun + timedelta(milliseconds=row)).isoformat()
            key = {"http.request.id": f"r{row}", "treeserve.request.instance": 0}
            shadow = {
                "treeserve.challenger.version": challenger,
                "treeserve.challenger.prediction": float(predictions[challenger][row]) if challenger else None,
            }
            prediction = {
                "@timestamp": at,
                "event.dataset": "treeserve.prediction",
                **key,
                "treeserve.model.name": NAME,
                "treeserve.model.version": champion,
                "treeserve.prediction": float(predictions[champion][row]),
                **(shadow if challenger else {}),
            }
            feedback = {
                "@timestamp": datetime.now(UTC).isoformat(),
                "event.dataset": "treeserve.feedback",
                **key,
                "treeserve.outcome": float(rows.outcomes[row]),
                "treeserve.observed_at": at,
            }
            lines.writelines(json.dumps(line) + "\n" for line in (prediction, feedback))
    return file


def write_profile(file: Path, version: str, shares: Sequence[tuple[str, float, int]]) -> Path:
    """Write what a process tells that it counted: of a feature's bins, the reference's share and the count."""
    with file.open("w", encoding="utf-8") as lines:
        for label, reference, count in shares:
            line = {
                "@timestamp": datetime.now(UTC).isoformat(),
                "event.dataset": "treeserve.profile",
                "treeserve.model.name": NAME,
                "treeserve.model.version": version,
                "treeserve.profile.kind": "feature",
                "treeserve.profile.name": "temp",
                "treeserve.profile.bin": label,
                "treeserve.profile.reference": reference,
                "treeserve.profile.count": count,
            }
            lines.write(json.dumps(line) + "\n")
    return file


def _answers(version: str, rows: Dataset) -> np.ndarray:
    return answer(load_predictor(f"models:/{NAME}/{version}"), rows.features).predictions
