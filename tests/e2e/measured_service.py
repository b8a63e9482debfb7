"""The service on a core of its own, beside what it is measured against; a test may change its code before it starts."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.servers import Server, choose_cores, post, run_server
from tests.processes import PROJECT, clean_environment, free_port

SERVE = "import sys; from app.cli import main; sys.exit(main(['serve']))"


def run_measured_service(
    folder: Path, model_folder: Path, body: bytes, changes: str = ""
) -> AbstractContextManager[Server]:
    """
    Run the service with its log in a file, until it has answered a body.

    Parameters
    ----------
    folder : pathlib.Path
        Where its cache, its log and its output go.
    model_folder : pathlib.Path
    body : bytes
        Of ``POST /predict``.
    changes : str
        Python code that is run before the service.
    """
    port = free_port()
    environment = clean_environment(
        folder,
        PYTHONPATH=str(PROJECT),
        TREESERVE_MODEL_URI=str(model_folder),
        TREESERVE_CACHE_DIR=str(folder / "cache"),
        TREESERVE_PAYLOAD_LOG=str(folder / "payload.log"),
        TREESERVE_PORT=str(port),
    )
    return run_server(
        [sys.executable, "-c", changes + SERVE],
        environment,
        folder,
        port,
        lambda at: bool(post(at, "/predict", body)),
        core=choose_cores()[0],
    )
