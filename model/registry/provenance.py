"""Where a model comes from: the commit of the code and the versions of the libraries."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CODE = ("app", "model", "requirements")  # what a change to makes the commit say less than the truth
_XGBOOST_DISTRIBUTIONS = ("xgboost-cpu", "xgboost")  # one of the two is installed
_TIMEOUT_S = 20


def read_commit(root: Path) -> str | None:
    """
    Name the commit of the code, ending in ``-dirty`` if the code has changed since.

    An image has no repository in it; its environment variable ``GIT_COMMIT`` says what it was built from.

    Returns
    -------
    str or None
        None without git, outside a repository, or before its first commit.
    """
    commit = _ask_git(root, "rev-parse", "--verify", "HEAD")
    if not commit:
        return os.environ.get("GIT_COMMIT") or None
    changes = _ask_git(root, "status", "--porcelain", "--", *_CODE)
    return commit if changes == "" else f"{commit}-dirty"


def _ask_git(root: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607  whichever git the person has
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def is_locked(root: Path, commit: str, digest: str) -> bool:
    """Whether `model/dvc.lock` of a commit names a data set, so that DVC can bring it back."""
    return f" {digest}\n" in (_ask_git(root, "show", f"{commit}:model/dvc.lock") or "")


def library_versions() -> dict[str, str]:
    """Versions of Python and of what training and its numbers depend on, by distribution name."""
    versions = {"python": platform.python_version()}
    for name in (*_XGBOOST_DISTRIBUTIONS, "mlflow", "numpy", "pandas", "scikit-learn"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def digest_recipe(parameters: Mapping[str, object], data_sha256: str) -> str:
    """Name what a model is made of, parameters, data and the version of XGBoost: the same give the same model."""
    made_of = {"parameters": parameters, "data": data_sha256, "xgboost": version_of_xgboost()}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def version_of_xgboost() -> str:
    """Of whichever distribution is installed."""
    versions = library_versions()
    return next(versions[name] for name in _XGBOOST_DISTRIBUTIONS if name in versions)


def list_requirements() -> list[str]:
    """What a Python needs to load the model with MLflow, pinned to what is installed."""
    versions = library_versions()
    return [
        f"{name}=={versions[name]}"
        for name in (*_XGBOOST_DISTRIBUTIONS, "mlflow", "numpy", "pandas")
        if name in versions
    ]
