"""
The child process that imports MLflow, answers one request on its standard output and ends.

Run as ``python -m app.registry.mlflow_process`` by `app.registry.child` alone, and asked on its standard input.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.processes import end_with_parent, work_in_gaps
from app.registry.store import without_credentials

_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
# Reasons that only this machine's disk has. MLflow hides the error of a download in the text of its own.
_NO_ROOM = tuple(f"[Errno {number}]" for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))


def main(request: dict[str, Any]) -> dict[str, Any]:
    """
    Do what is asked.

    Returns
    -------
    dict
        The version that was resolved, or nothing of a download. Where it could not be done, one member says why:
        `no_model`, `no_version` (with the aliases or versions that there are, null if that is not known), `no_files`,
        `no_module`, `no_room` or `unreachable`.
    """
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    logged = _LoggedErrors()
    try:
        if request["do"] == "resolve":
            return _resolve(mlflow.MlflowClient(), request)
        _download(request["source"], Path(request["folder"]))
        return {}
    except Exception as raised:  # of MLflow, or whatever an artifact store's own client raises
        hidden = (error for error in logged.errors if not isinstance(error, MlflowException) or _has_no_room(error))
        return _explain(next(hidden, raised), is_download=request["do"] == "download")


def _explain(error: BaseException, is_download: bool) -> dict[str, Any]:
    from mlflow.exceptions import MlflowException

    if isinstance(error, ModuleNotFoundError):
        return {"no_module": error.name or str(error)}
    if is_download and _has_no_room(error):
        return {"no_room": _reason(error)}
    if not isinstance(error, MlflowException):
        return {"unreachable": f"{type(error).__name__}: {_reason(error)}"}
    if "unsupported URI" in str(error) and find_spec("sqlalchemy") is None:
        return {"no_module": "sqlalchemy"}  # mlflow-skinny alone knows no databases
    return {"no_files" if is_download and error.error_code in _ABSENT else "unreachable": _reason(error)}


class _LoggedErrors(logging.Handler):
    """Keeps the errors of downloading a run's files, of which MLflow raises in the end only that there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []
        logger = logging.getLogger("mlflow.store.artifact.runs_artifact_repo")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])


def _resolve(client: Any, request: dict[str, Any]) -> dict[str, Any]:
    from mlflow.exceptions import MlflowException

    name, alias = request["name"], request["alias"]
    try:
        if alias:
            found = client.get_model_version_by_alias(name, alias)
        else:
            found = client.get_model_version(name, request["version"])
    except MlflowException as error:
        if error.error_code not in {*_ABSENT, "INVALID_PARAMETER_VALUE"}:  # the last for an unknown alias
            raise
    else:
        return {"version": str(found.version), "status": found.status, "run_id": found.run_id}
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return {"no_model": True}
        raise
    if alias:
        return {"no_version": sorted(model.aliases)}
    try:
        newest = client.search_model_versions(request["filter"], max_results=20, order_by=["version_number DESC"])
    except MlflowException:
        return {"no_version": None}
    return {"no_version": [str(version.version) for version in newest]}


def _download(source: str, folder: Path) -> None:
    import mlflow.artifacts

    aside = Path(tempfile.mkdtemp(dir=folder))
    # Of some URIs, such as runs:/, MLflow makes the path's last step a folder again, of others it does not.
    place = Path(mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=str(aside)))
    shutil.copytree(place, folder, dirs_exist_ok=True)
    shutil.rmtree(aside)


def _has_no_room(error: BaseException) -> bool:
    return any(number in str(error) for number in _NO_ROOM)


def _reason(error: BaseException) -> str:
    """An error's first line, with the last where others are announced; MLflow quotes addresses with credentials."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    first = lines[0].rstrip(".")
    reason = f"{first} {lines[-1]}" if first.endswith(":") and lines[1:] else first
    return without_credentials(reason)[:600]  # it may quote a page of HTML


if __name__ == "__main__":
    end_with_parent()
    work_in_gaps()
    # MLflow imports it where it is installed, as it is for training: a second that no download has use for.
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]
    print(json.dumps(main(json.load(sys.stdin))))
