"""An environment for each server under ``build/peers/``, made from its lock file and kept while that is the same."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.flights import SERVING_ENVIRONMENT
from tests.processes import PROJECT

FOLDER = Path(__file__).parent
BUILD = PROJECT / "build" / "peers"
UV = PROJECT / ".venv" / "bin" / "uv"
# Of the other servers, which not all run on a newer one; the service runs on the one that `.venv` has.
PYTHON_VERSION = "3.11"
_PATIENCE = {"UV_HTTP_TIMEOUT": "120", "UV_HTTP_RETRIES": "8"}


class EnvironmentFailed(Exception):
    """An environment could not be made; the text is the installer's."""


@dataclass(frozen=True)
class Environment:
    """
    A virtual environment.

    Attributes
    ----------
    bin : pathlib.Path
        Where its commands are.
    packages : dict of str to str
        The version of each locked package.
    size_mb : float
        Of the files of the locked packages, in megabytes (10^6 bytes).
    """

    bin: Path
    packages: dict[str, str]
    size_mb: float


def provide_environment(name: str) -> Environment:
    """
    Make a peer's environment, unless it is there and its lock file has not changed.

    Raises
    ------
    EnvironmentFailed
        If a package or the Python cannot be had.
    """
    lock, venv = FOLDER / name / "requirements.txt", BUILD / name / "venv"
    mark = venv / ".installed"
    fingerprint = hashlib.sha256(PYTHON_VERSION.encode() + lock.read_bytes()).hexdigest()
    if not mark.exists() or mark.read_text(encoding="utf-8") != fingerprint:
        print(f"Installing {lock.relative_to(PROJECT)} into {venv.relative_to(PROJECT)}", flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        _run(UV, "venv", "--python", PYTHON_VERSION, venv)
        # Nothing may run code at installation, or bring in what is not locked.
        strictly = ["--require-hashes", "--only-binary", ":all:"]
        _run(UV, "pip", "install", "--python", venv / "bin" / "python", *strictly, "--requirements", lock)
        mark.write_text(fingerprint, encoding="utf-8")
    return _look_at(venv, lock)


def serving_environment() -> Environment:
    """Look at the environment of the serving image, which `make` has brought up to date."""
    return _look_at(SERVING_ENVIRONMENT, PROJECT / "requirements" / "serve.txt")


def read_pins(lock: str) -> dict[str, str]:
    """Read the version of each package of a lock file's text, by its name."""
    pins = (line.split()[0] for line in lock.splitlines() if line and not line.startswith((" ", "#")))
    return {name.partition("[")[0]: version for name, _, version in (pin.partition("==") for pin in pins)}


def _look_at(venv: Path, lock: Path) -> Environment:
    [site_packages] = venv.glob("lib/python*/site-packages")
    pins = read_pins(lock.read_text(encoding="utf-8"))
    found = {re.sub("[-_.]+", "-", dist.name.lower()): dist for dist in distributions(path=[str(site_packages)])}
    installed = {name: found[name] for name in pins if name in found}  # the others are for other platforms
    size = sum(file.size or 0 for dist in installed.values() for file in dist.files or ())
    return Environment(venv / "bin", {name: dist.version for name, dist in installed.items()}, size / 1e6)


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command, env=_PATIENCE | os.environ | _index(), cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EnvironmentFailed(f"{Path(command[0]).name} ended with status {done.returncode}: {done.stderr[-2000:]}")


def _index() -> dict[str, str]:
    """A mirror that pip was told of holds for uv too."""
    if "UV_DEFAULT_INDEX" in os.environ or "UV_INDEX_URL" in os.environ:
        return {}
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    index = os.environ.get("PIP_INDEX_URL") or asked.stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if index else {}
