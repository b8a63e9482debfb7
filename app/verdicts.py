"""
What this very software has verified before, so that a start need not load XGBoost to compare the kernel with it anew.

A verdict says that the kernel, packed from a model folder's own files, gives XGBoost's bits. It is bound to those files
and to the software that found it: other files, another version, another line of code or another way of walking the
trees have no verdict.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import platform
from pathlib import Path

import numpy as np

from app.folder_digest import digest_folder
from app.forest.kernel_forest import quickest_walk

log = logging.getLogger(__name__)

_OWN = Path(__file__).parent


class Verdicts:
    """Verdicts, each a file in a folder that several processes may share; that it is there is the verdict."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, model_folder: Path) -> bool:
        """Whether the kernel is known to answer as XGBoost does."""
        try:
            return self._place(_describe(model_folder)).is_file()
        except OSError:
            return False

    def record(self, model_folder: Path) -> None:
        """Keep the verdict; where that fails, only the next start takes longer."""
        try:
            found = _describe(model_folder)
            self._folder.mkdir(parents=True, exist_ok=True)
            self._place(found).write_text(json.dumps(found, indent=1), encoding="utf-8")
        except OSError as error:
            log.info("that the model is verified could not be kept (%s); the next start verifies it again", error)

    def _place(self, found: dict[str, str]) -> Path:
        return self._folder / f"{hashlib.sha256(json.dumps(found).encode()).hexdigest()}.json"


def _describe(model_folder: Path) -> dict[str, str]:
    """All that a verdict is bound to, found without importing XGBoost; raises `OSError`."""
    xgboost = importlib.util.find_spec("xgboost")
    if xgboost is None or xgboost.origin is None:
        raise FileNotFoundError("XGBoost is not installed")
    return {
        "model": digest_folder(model_folder),
        "treeserve": digest_folder(_OWN, "*.py"),
        "compiled": digest_folder(_OWN, "*.so"),
        "walk": str(quickest_walk()),
        "xgboost": Path(xgboost.origin).with_name("VERSION").read_text(encoding="utf-8").strip(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libc": os.confstr("CS_GNU_LIBC_VERSION") or "" if "CS_GNU_LIBC_VERSION" in os.confstr_names else "",
    }
