"""A real MLflow server as a process: its store on SQLite, or where a test says, its artifacts handed out by itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.processes import clean_environment, run_process
from tests.services import wait

_MLFLOW = Path(sys.executable).with_name("mlflow")
_STARTS_WITHIN_S = 240  # an empty PostgreSQL goes through all of MLflow's migrations first, and a machine may be busy


@contextmanager
def run_mlflow_server(
    folder: Path, port: int, empty_database: Path, host: str = "127.0.0.1"
) -> Iterator[subprocess.Popen[str]]:
    """
    Run a server on SQLite until the block ends, from when it answers on.

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
    stores = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    stores += ["--artifacts-destination", str(folder / "artifacts")]
    with run_mlflow_on(stores, folder, port, host=host) as process:
        yield process


@contextmanager
def run_mlflow_on(
    stores: Sequence[str],
    folder: Path,
    port: int,
    *,
    host: str = "127.0.0.1",
    program: Path = _MLFLOW,
    **variables: str,
) -> Iterator[subprocess.Popen[str]]:
    """
    Run a server until the block ends, from when it answers on.

    Parameters
    ----------
    stores : sequence of str
        The options that say where its store and its artifacts are.
    folder : pathlib.Path
        Where its output goes.
    port : int
    host : str
        The address that it listens on.
    program : pathlib.Path
        The command of the environment that it runs in.
    **variables : str
        Of its environment.
    """
    command = [str(program), "server", "--host", host, "--port", str(port), "--allowed-hosts", f"{host}:{port}"]
    command += ["--workers", "1", *stores]
    environment = clean_environment(folder, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **variables)
    with run_process(command, environment, folder / "process") as process:
        for _ in wait(_STARTS_WITHIN_S, every_s=0.1):
            assert process.poll() is None, (folder / "process" / "stderr").read_text()
            try:
                if httpx2.get(f"http://{host}:{port}/health", trust_env=False).status_code == 200:
                    break
            except httpx2.TransportError:
                continue
        yield process
