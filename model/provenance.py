"""Where a model comes from: the commit of the code and the versions of the libraries."""

from __future__ import annotations

import os
import platform
import subprocess
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


def library_versions() -> dict[str, str]:
    """Versions of Python and of what training and its numbers depend on, by distribution name."""
    versions = {"python": platform.python_version()}
    for name in (*_XGBOOST_DISTRIBUTIONS, "mlflow", "numpy", "pandas", "scikit-learn"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def list_requirements() -> list[str]:
    """What a Python needs to load the model with MLflow, pinned to what is installed."""
    versions = library_versions()
    return [
        f"{name}=={versions[name]}"
        for name in (*_XGBOOST_DISTRIBUTIONS, "mlflow", "numpy", "pandas")
        if name in versions
    ]
