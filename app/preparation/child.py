"""
Prepares a model version in a child process that ends, and takes XGBoost, MLflow and all their memory with it.

Run as ``python -m app.preparation`` by `Preparation` alone, and asked on its standard input: an address of MLflow's may
have a password in it, and everybody can read a process's arguments.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from app.errors import ModelError, ModelUnfit, model_errors
from app.model_version import ModelVersion
from app.preparation.prepare import find_prepared
from app.preparation.prepared import Prepared
from app.processes import leave_it_gaps, let_it_be_killed_first, lower_priority, python_module, starved_s
from app.registry.cache import note_use
from app.registry.registry import MlflowRegistry
from app.registry.store import without_credentials

log = logging.getLogger(__name__)

_TIMEOUT_S = 1800.0  # a download may take half of it
_STARVES_AFTER_S = 10.0
_LOOK_EVERY_S = 1.0
_MAX_TOLD_CHARACTERS = 4000


# A container whose root is read-only may have nothing else to write into, not even a /tmp.
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  a folder with a name of its own is made in it, for this user alone


class Preparation:
    """Prepares the model versions of a registry; what was prepared before is found without a child."""

    def __init__(self, registry: MlflowRegistry, cache_dir: Path) -> None:
        """
        Name the places.

        Parameters
        ----------
        registry : MlflowRegistry
        cache_dir : pathlib.Path
            Where what was prepared is kept, below it.
        """
        self._registry = registry
        self._folders = [cache_dir / "prepared"]
        self._has_prepared = False

    def __call__(self, version: ModelVersion) -> Prepared:
        """
        Prepare a model version; blocks for as long as its download and verification take.

        The first is prepared as quickly as can be, and others in the gaps that those leave who ask the first.

        Raises
        ------
        ModelError
            If it cannot be had, or must not serve.
        """
        prepared = self._find(version) or self._prepare(version)
        self._has_prepared = True
        return prepared

    def _find(self, version: ModelVersion) -> Prepared | None:
        for folder, digest in self._registry.find(version):
            if known := find_prepared(version, folder, digest, self._folders):
                if version.is_immutable:  # and so its folder is the cache's, and nobody else's
                    note_use(folder)
                return known
        return None

    def _prepare(self, version: ModelVersion) -> Prepared:
        self._add_spare_folder()
        answer = self._ask(version)
        if "error" in answer:
            kind = next(kind for kind in model_errors() if kind.__name__ == answer["error"])
            raise kind(answer["text"])
        return Prepared.from_json(answer)

    def _ask(self, version: ModelVersion) -> dict[str, str]:
        request = {
            "registry": self._registry.to_json(),
            "version": asdict(version),
            "folders": [str(folder) for folder in self._folders],
        }
        asked = json.dumps(request)
        try:
            try:
                ended = _run(asked, leave_it_gaps, _STARVES_AFTER_S) if self._has_prepared else _run(asked)
            except _Starved:  # there are no gaps, and what requests notice of it is the lesser evil
                ended = _run(asked, lower_priority)
            status, output, errors = ended
        except subprocess.TimeoutExpired:
            raise ModelUnfit(f"{version} was not verified within {_TIMEOUT_S:.0f} s") from None
        *others, last = output.splitlines() or [""]
        told = without_credentials("\n".join([*others, errors]).strip())
        try:
            answer: dict[str, str] = json.loads(last)
        except ValueError:
            why = (told or "no message").splitlines()[-1]
            raise ModelError(
                f"the process that verifies {version} ended with status {status}: {why}; if it was killed, there was "
                "too little memory"
            ) from None
        if told:  # XGBoost's warnings, a damaged copy in the cache folder
            log.warning("while %s was made ready: %s", version, told[:_MAX_TOLD_CHARACTERS])
        return answer

    def _add_spare_folder(self) -> None:
        """Have a folder that is gone with this process, for what a full or read-only cache folder cannot keep."""
        if len(self._folders) == 1:
            for place in (None, _SHARED_MEMORY):
                with suppress(OSError):
                    spare = tempfile.mkdtemp(prefix="treeserve-", dir=place)
                    weakref.finalize(self, shutil.rmtree, spare, ignore_errors=True)
                    self._folders.append(Path(spare))
                    return


class _Starved(Exception):
    """The process has waited too long for a core."""


def _run(
    asked: str, begin: Callable[[int], None] = lambda _: None, starves_after_s: float = math.inf
) -> tuple[int, str, str]:
    """
    Run the process.

    Parameters
    ----------
    asked : str
    begin : callable
        Called with its number as soon as it has one.
    starves_after_s : float
        When it is ended because it has waited so long for a core.

    Returns
    -------
    tuple of int, str, str
        The exit status, standard output and standard error.

    Raises
    ------
    _Starved, subprocess.TimeoutExpired
    """
    command = python_module("app.preparation")
    ends_at_s = time.monotonic() + _TIMEOUT_S
    unsent: str | None = asked
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C in a terminal is not for it
    ) as process:
        let_it_be_killed_first(process.pid)  # before it is asked, and begins to take memory
        begin(process.pid)
        while True:
            try:
                output, errors = process.communicate(unsent, timeout=min(_LOOK_EVERY_S, ends_at_s - time.monotonic()))
                return process.returncode, output, errors
            except subprocess.TimeoutExpired:
                unsent = None  # what is left of it goes out with the next call
                if starved_s(process.pid) > starves_after_s:
                    process.kill()
                    raise _Starved from None
                if time.monotonic() >= ends_at_s:
                    process.kill()
                    raise
