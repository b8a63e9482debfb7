"""Fetches the model version that is to be baked into an image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from app.errors import ModelError
from app.registry.registry import MlflowRegistry
from app.registry.resolve import REGISTRATION
from delivery.errors import DeliveryFailed


def fetch_model(uri: str, folder: Path) -> Path:
    """
    Copy a model version's files.

    Parameters
    ----------
    uri : str
        As ``TREESERVE_MODEL_URI`` takes it; MLflow is the one that ``MLFLOW_TRACKING_URI`` names, or the project's own.
    folder : pathlib.Path
        An existing one.

    Returns
    -------
    pathlib.Path
        The folder with the files, and with the file in which MLflow says what they are registered as.

    Raises
    ------
    DeliveryFailed
        If they cannot be had.
    """
    registry = MlflowRegistry.of_environment(os.environ, folder / "cache")
    try:
        version = registry.resolve(uri)
        model = shutil.copytree(registry.fetch(version), folder / "model", symlinks=True)
    except ModelError as error:
        raise DeliveryFailed(f"{uri} cannot be baked in: {error}") from None
    registration = {"model_name": version.name, "model_version": version.version}
    (model / REGISTRATION).write_text(yaml.safe_dump(registration))
    let_all_read(model)  # a cache is its owner's alone
    return model


def let_all_read(folder: Path) -> None:
    """Let a folder be read by whichever user a container runs as."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
