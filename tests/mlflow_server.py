"""A real MLflow server as a process: its store on SQLite, its artifacts handed out by itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.processes import clean_environment, run_process
from tests.services import wait


@contextmanager
def run_mlflow_server(
    folder: Path, port: int, empty_database: Path, host: str = "127.0.0.1"
) -> Iterator[subprocess.Popen[str]]:
    """
    Run a server until the block ends, from when it answers on.

    Parameters
    ----------
    folder : pathlib.Path
        Where its store and its artifacts are, and stay.
    port : int
    empty_database : pathlib.Path
        A store as MLflow makes it, to begin with if the folder has none; it takes seconds to make.
    host : str
        The address that it listens on.
    """
    if not (folder / "mlflow.db").exists():
        shutil.copy(empty_database, folder / "mlflow.db")
    command = [
        str(Path(sys.executable).with_name("mlflow")), "server", "--host", host, "--port", str(port),
        "--allowed-hosts", f"{host}:{port}",
        "--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    environment = clean_environment(folder, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    with run_process(command, environment, folder / "process") as process:
        for _ in wait(180, every_s=0.1):
            assert process.poll() is None, (folder / "process" / "stderr").read_text()
            try:
                if httpx2.get(f"http://{host}:{port}/health", trust_env=False).status_code == 200:
                    break
            except httpx2.TransportError:
                continue
        yield process
