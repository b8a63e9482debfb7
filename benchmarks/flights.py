"""The flight model, bodies of real flights, and servers to answer them: the service, a tutorial's, bare uvicorn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from app.registry.registry import MlflowRegistry
from benchmarks import bare
from benchmarks.report import FOLDER
from benchmarks.servers import Server, post, run_server
from tests.boosters import to_instances
from tests.processes import PROJECT, clean_environment, free_port

SERVING_ENVIRONMENT = FOLDER / "serve"
MODEL_URI = "models:/flight-delay@champion"
N_SINGLE, N_BATCHES, N_BATCH_ROWS = 5_000, 4, 10_000
_PROBE_ROWS = 20
_OUTPUT = "output"  # of the servers, one folder for each
_MOST_APART = 1e-6


@dataclass(frozen=True)
class Flights:
    """
    A trained flight model, and bodies for it.

    Attributes
    ----------
    folder : pathlib.Path
        Where all of it is.
    model_folder : pathlib.Path
        The model version's files, in the cache folder.
    single : pathlib.Path
        Bodies, one a line, of one flight each; no flight is there twice.
    batches : pathlib.Path
        Bodies of 10,000 flights to places that the model knows.
    mixed_batches : pathlib.Path
        Bodies of 10,000 flights as they come, which is a few to places that it does not know.
    """

    folder: Path
    model_folder: Path
    single: Path
    batches: Path
    mixed_batches: Path

    def is_answered(self, port: int) -> bool:
        """Whether a server answers golden rows at ``/predict`` as XGBoost did."""
        golden = json.loads((self.model_folder / "extra_files" / "golden.json").read_text(encoding="utf-8"))
        body = json.dumps({"instances": golden["instances"][:_PROBE_ROWS]}).encode()
        found = json.loads(post(port, "/predict", body))["predictions"]
        return bool(np.allclose(found, golden["predictions"][:_PROBE_ROWS], rtol=0, atol=_MOST_APART))


def prepare_flights(folder: Path) -> Flights:
    """Train the model as ``make train`` does, unless that was done before, and write the bodies."""
    store = _tracking_uri(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / _OUTPUT, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "model", "train", "--if-missing"],
        cwd=PROJECT,
        env=os.environ | {"MLFLOW_TRACKING_URI": store},
        check=True,
    )
    registry = MlflowRegistry(store, folder / "cache")
    model_folder = registry.fetch(registry.resolve(MODEL_URI))
    flights = Flights(
        folder, model_folder, *(folder / f"{name}.jsonl" for name in ("single", "batches", "mixed_batches"))
    )
    from model.flights.features import build_dataset
    from model.flights.tables import find_data, read_tables

    dataset, _ = build_dataset(read_tables(find_data()))
    rows = dataset.features.drop_duplicates().sample(frac=1, random_state=0)
    known_places = json.loads((model_folder / "extra_files" / "card.json").read_text("utf-8"))["categories"]["dest"]
    first, rest = rows[:N_SINGLE], rows[N_SINGLE:]
    n_batched = N_BATCHES * N_BATCH_ROWS
    _write_bodies(flights.single, first, 1)
    _write_bodies(flights.batches, rest[rest["dest"].isin(known_places)][:n_batched], N_BATCH_ROWS)
    _write_bodies(flights.mixed_batches, rest[:n_batched], N_BATCH_ROWS)
    return flights


def _tracking_uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def _write_bodies(file: Path, table: pd.DataFrame, n_rows: int) -> None:
    rows = to_instances(table)
    bodies = (json.dumps({"instances": rows[start : start + n_rows]}) for start in range(0, len(rows), n_rows))
    file.write_text("".join(f"{body}\n" for body in bodies), encoding="utf-8")


def run_service(
    flights: Flights,
    payload_log: str,
    core: int | None,
    *,
    payload_sample_rate: float = 1.0,
    cache_dir: Path | None = None,
) -> AbstractContextManager[Server]:
    """Run the service in the serving environment; its model version is in the cache folder, unless another is given."""
    port = free_port()
    settings = {
        "MLFLOW_TRACKING_URI": _tracking_uri(flights.folder),
        "TREESERVE_MODEL_URI": MODEL_URI,
        "TREESERVE_CACHE_DIR": str(cache_dir or flights.folder / "cache"),
        "TREESERVE_PAYLOAD_LOG": payload_log,
        "TREESERVE_PAYLOAD_SAMPLE_RATE": str(payload_sample_rate),
        "TREESERVE_PORT": str(port),
    }
    return _run([str(SERVING_ENVIRONMENT / "bin" / "treeserve"), "serve"], settings, flights, port, core)


def run_tutorial(flights: Flights, core: int | None) -> AbstractContextManager[Server]:
    """Run the tutorial's server with the same model in the same environment."""
    port = free_port()
    command = [_python(), "-m", "benchmarks.tutorial", str(flights.model_folder), str(port)]
    return _run(command, {"PYTHONPATH": str(PROJECT)}, flights, port, core)


def run_bare(flights: Flights, core: int | None) -> AbstractContextManager[Server]:
    """Run bare uvicorn in the same environment."""
    port = free_port()
    environment = clean_environment(flights.folder, PYTHONPATH=str(PROJECT))
    command = [_python(), "-m", "benchmarks.bare", str(port)]
    return run_server(command, environment, flights.folder / _OUTPUT / str(port), port, is_answered_by_bare, core=core)


def is_answered_by_bare(port: int) -> bool:
    """Whether bare uvicorn answers."""
    return post(port, "/predict", b"{}") == bare.ANSWER


def _python() -> str:
    return str(SERVING_ENVIRONMENT / "bin" / "python")


def _run(
    command: Sequence[str], variables: dict[str, str], flights: Flights, port: int, core: int | None
) -> AbstractContextManager[Server]:
    environment = clean_environment(flights.folder, **variables)
    output = flights.folder / _OUTPUT / str(port)
    return run_server(command, environment, output, port, flights.is_answered, core=core)
