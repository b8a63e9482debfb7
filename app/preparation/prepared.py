"""
A prepared model version, and where it is kept.

To verify a model version takes seconds, XGBoost and much memory; to read what came of it, milliseconds and neither.
What came of it is bound to the model's own files and to the software that found it: other files, another version,
another line of code or another way of walking the trees have to be prepared anew.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.folder_digest import digest_folder
from app.forest.kernel_forest import quickest_walk
from app.model_version import ModelVersion

_OWN = Path(__file__).parents[1]


@dataclass(frozen=True)
class Prepared:
    """
    A model version that may serve.

    Attributes
    ----------
    version : ModelVersion
        As the registry named it.
    folder : pathlib.Path
        The model's own files, which only a predictor that XGBoost evaluates still needs.
    file : pathlib.Path
        What `app.preparation.file` reads and writes.
    """

    version: ModelVersion
    folder: Path
    file: Path

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"version": asdict(self.version), "folder": str(self.folder), "file": str(self.file)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Prepared:
        """What `to_json` made; raises `KeyError` or `TypeError` for anything else."""
        return cls(ModelVersion(**document["version"]), Path(document["folder"]), Path(document["file"]))


def place_of(model_digest: str, folder: Path) -> Path:
    """
    The file of a model's prepared form, whether or not it is there.

    Parameters
    ----------
    model_digest : str
        Of the model's own files, as `app.folder_digest` makes it.
    folder : pathlib.Path
        Where such files are kept; several processes may share it.
    """
    identity = json.dumps([model_digest, *describe_software()])
    return folder / hashlib.sha256(identity.encode()).hexdigest()


@functools.cache
def describe_software() -> tuple[str, ...]:
    """All that a prepared form is bound to beside the model, found without importing XGBoost."""
    xgboost = importlib.util.find_spec("xgboost")
    assert xgboost is not None
    assert xgboost.origin is not None
    return (
        digest_folder(_OWN, "*.py"),
        digest_folder(_OWN, "*.so"),
        str(quickest_walk()),
        Path(xgboost.origin).with_name("VERSION").read_text(encoding="utf-8").strip(),
        np.__version__,
        platform.python_version(),
        platform.machine(),
        os.confstr("CS_GNU_LIBC_VERSION") or "" if "CS_GNU_LIBC_VERSION" in os.confstr_names else "",
    )
