"""The example trained on a twentieth of the flights, as `model` trains it on all of them."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import zipfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from model.flights.project import PROJECT
from model.flights.tables import find_data
from model.pipeline.steps import train
from model.progress import Progress
from model.registry.registration import RegisteredVersion
from tests.integration.mlflow_store import load_mlflow
from tests.parameters import make_parameters

NAME = "flight-delay"
QUICK = make_parameters(rounds=30, stopping_rounds=5)
_ONE_FLIGHT_IN = 20


@dataclass
class Trained:
    """A training run in a store of its own, and the folder of its model version."""

    uri: str
    registered: RegisteredVersion
    metrics: dict[str, float]
    client: Any
    model_id: str
    folder: Path

    def artifact(self, name: str) -> Any:
        """One of the model version's JSON files."""
        return json.loads((self.folder / "extra_files" / name).read_text())


def write_sample(folder: Path) -> Path:
    """Every twentieth flight, and all weather and planes."""
    whole = find_data().folder
    for name in ("weather.csv", "planes.csv"):
        shutil.copy(whole / name, folder / name)
    with zipfile.ZipFile(whole / "flights.csv.zip") as archive, archive.open("flights.csv") as flights:
        header = flights.readline()
        rows = b"".join(islice(flights, 0, None, _ONE_FLIGHT_IN))
    with zipfile.ZipFile(folder / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", header + rows)
    return folder


def train_example(uri: str, sample: Path) -> Trained:
    """Train into a store that nobody has used."""
    version = train(PROJECT, QUICK, sample, uri, True, Progress(io.StringIO()))
    client = load_mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)
    model_id = client.get_model_version_by_alias(NAME, "champion").source.removeprefix("models:/")
    place = client.get_logged_model(model_id).artifact_location
    return Trained(uri, version.registered, version.metrics, client, model_id, Path(place))


def copy_store(trained: Trained, folder: Path) -> str:
    """The URI of a copy of the database that a test may write into; its files stay where they are."""
    copy = folder / "mlflow.db"
    shutil.copy(trained.uri.removeprefix("sqlite:///"), copy)
    # The experiment's place is the only thing that says where the store is.
    with sqlite3.connect(copy) as database:
        place = str(folder / "artifacts" / NAME)
        database.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", (place, NAME))
    database.close()
    return f"sqlite:///{copy}"
