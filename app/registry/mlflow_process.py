"""
The child process that imports MLflow, answers one request on its standard output and ends.

Run as ``python -m app.registry.mlflow_process '{"do": …}'`` by `app.registry.child` alone.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_NOT_FOUND = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked; an answer with `not_found` or `unreachable` says why it could not be done."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        if request["do"] == "resolve":
            client = mlflow.MlflowClient()
            name = request["name"]
            if request["alias"]:
                found = client.get_model_version_by_alias(name, request["alias"])
            else:
                found = client.get_model_version(name, request["version"])
            return {"version": str(found.version), "status": found.status, "run_id": found.run_id}
        _download(request["source"], Path(request["folder"]))
        return {}
    except MlflowException as error:
        kind = "not_found" if error.error_code in _NOT_FOUND else "unreachable"
        return {kind: _first_line(error)}
    except Exception as error:  # whatever an artifact store's own client raises
        return {"unreachable": f"{type(error).__name__}: {_first_line(error)}"}


def _download(source: str, folder: Path) -> None:
    import mlflow.artifacts

    aside = Path(tempfile.mkdtemp(dir=folder))
    # Of some URIs, such as runs:/, MLflow makes the path's last step a folder again, of others it does not.
    place = Path(mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=str(aside)))
    shutil.copytree(place, folder, dirs_exist_ok=True)
    shutil.rmtree(aside)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _end_with_parent() -> None:
    """Ask Linux to end this process with the service: a download must not outlive it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    _end_with_parent()
    print(json.dumps(main(json.loads(sys.argv[1]))))
