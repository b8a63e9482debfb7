"""An MLflow server on PostgreSQL and S3, and the commands that train into it and serve from it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.integration.mlflow_store import load_mlflow
from tests.integration.stores.postgres import Postgres
from tests.mlflow_server import run_mlflow_on
from tests.processes import PROJECT, clean_environment, free_port

CHAMPION = "models:/flight-delay@champion"


class Mlflow:
    """A server with a database of its own, which can be stopped and started again."""

    def __init__(
        self,
        programs: Path,
        folder: Path,
        postgres: Postgres,
        database: str,
        stores: Sequence[str],
        variables: Mapping[str, str],
    ) -> None:
        postgres.ask("postgres", f"CREATE DATABASE {database}")
        self._program, self._folder = programs / "mlflow", folder
        self._stores = ["--backend-store-uri", postgres.uri(database), *stores]
        self._variables = {**variables, "PGPASSWORD": postgres.password}
        self._port = free_port()
        self._running = ExitStack()
        self.uri = f"http://127.0.0.1:{self._port}"

    @contextmanager
    def running(self) -> Iterator[Mlflow]:
        """Run it until the block ends."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Run it, with all that it had."""
        self._running.enter_context(
            run_mlflow_on(self._stores, self._folder, self._port, program=self._program, **self._variables)
        )

    def stop(self) -> None:
        """End it: nobody listens any more."""
        self._running.close()

    def train(self, sample: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the training command on some of the flights, with no more than MLflow's address unless more is given."""
        command = [sys.executable, "-m", "model", "train", "--data", str(sample), "--rounds", "30", *options]
        environment = clean_environment(self._folder, MLFLOW_TRACKING_URI=self.uri, **variables)
        return subprocess.run(
            command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=180
        )

    def register_again(self) -> str:
        """Register the files of version 1 once more; the new version."""
        client = self._client
        model_id = client.get_model_version_by_alias("flight-delay", "champion").source.removeprefix("models:/")
        return str(client.create_model_version("flight-delay", f"models:/{model_id}", model_id=model_id).version)

    def promote(self, version: str) -> None:
        """Move the alias."""
        self._client.set_registered_model_alias("flight-delay", "champion", version)

    @property
    def _client(self) -> Any:
        return load_mlflow().MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
