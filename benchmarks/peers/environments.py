"""An environment for each server under ``build/peers/``, made from its lock file and kept while that is the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.registry.store import PROJECT_ROOT

LOCKS = Path(__file__).parent
BUILD = PROJECT_ROOT / "build" / "peers"
UV = PROJECT_ROOT / ".venv" / "bin" / "uv"
# Of the peers. The project itself runs with the one that `.venv` has.
PYTHON_VERSION = "3.11"
_OWN_SOURCES = ("app", "requirements", "pyproject.toml", "README.md", "LICENSE")
_PATIENCE = {"UV_HTTP_TIMEOUT": "120", "UV_HTTP_RETRIES": "8"}


class EnvironmentFailed(Exception):
    """An environment could not be made; the text is the installer's."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return self.folder / "bin"

    @cached_property
    def packages(self) -> dict[str, str]:
        """The version of each installed distribution, by its name in lower case with hyphens."""
        stems = [path.stem.partition("-") for path in self._site_packages.glob("*.dist-info")]
        return {name.lower().replace("_", "-"): version for name, _, version in stems}

    @cached_property
    def size_mb(self) -> float:
        """Of its packages, in megabytes (10^6 bytes), without what Python compiles when it runs them."""
        files = (path for path in self._site_packages.rglob("*") if "__pycache__" not in path.parts)
        return sum(path.lstat().st_size for path in files if not path.is_dir()) / 1e6

    @property
    def _site_packages(self) -> Path:
        [found] = self.folder.glob("lib/python*/site-packages")
        return found


def provide_environment(name: str) -> Environment:
    """
    Make a peer's environment, unless it is there and its lock file has not changed.

    Raises
    ------
    EnvironmentFailed
        If a package or the Python cannot be had.
    """
    lock = LOCKS / name / "requirements.txt"
    return _provide(name, PYTHON_VERSION, lock, [])


def provide_own_environment() -> Environment:
    """
    Make the environment of the serving image: the service's locked set, and the project as a wheel.

    Raises
    ------
    EnvironmentFailed
    """
    sources = [PROJECT_ROOT / name for name in _OWN_SOURCES]
    return _provide("treeserve", sys.executable, PROJECT_ROOT / "requirements" / "serve.txt", sources)


def _provide(name: str, python: str, lock: Path, project: list[Path]) -> Environment:
    environment = Environment(BUILD / name / "venv")
    mark = environment.folder / ".installed"
    fingerprint = _fingerprint([lock, *project], python)
    if mark.exists() and mark.read_text(encoding="utf-8") == fingerprint:
        return environment
    print(f"installing {lock.relative_to(PROJECT_ROOT)} into {environment.folder.relative_to(PROJECT_ROOT)}", flush=True)
    shutil.rmtree(environment.folder, ignore_errors=True)
    _run_uv("venv", "--python", python, environment.folder)
    install = ["pip", "install", "--python", environment.bin / "python"]
    _run_uv(*install, "--require-hashes", "--only-binary", ":all:", "--requirements", lock)
    if project:
        with tempfile.TemporaryDirectory() as scratch:
            _run_uv(*install, "--no-deps", _build_wheel(project, Path(scratch)))
    mark.write_text(fingerprint, encoding="utf-8")
    return environment


def _fingerprint(paths: Iterable[Path], python: str) -> str:
    digest = hashlib.sha256(python.encode())
    for top in paths:
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and _is_source(path):
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _is_source(path: Path) -> bool:
    return path.suffix != ".so" and "__pycache__" not in path.parts


def _build_wheel(sources: Iterable[Path], scratch: Path) -> Path:
    """Build the project from a copy, so that nothing of an earlier build gets in."""
    copy = scratch / "source"
    copy.mkdir()
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, copy / source.name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(source, copy)
    _run_uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", scratch, copy)
    [wheel] = scratch.glob("*.whl")
    return wheel


def _run_uv(*arguments: str | Path) -> None:
    done = subprocess.run(
        [UV, *arguments], env=_PATIENCE | os.environ | _index(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EnvironmentFailed(f"uv {arguments[0]}: {done.stderr.strip()[-2000:]}")


def _index() -> dict[str, str]:
    """A mirror that pip was told of holds for uv too."""
    if "UV_DEFAULT_INDEX" in os.environ or "UV_INDEX_URL" in os.environ:
        return {}
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    index = os.environ.get("PIP_INDEX_URL") or asked.stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if index else {}
