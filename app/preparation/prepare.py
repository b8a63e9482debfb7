"""What makes a model version ready to serve, step by step; imports XGBoost, and perhaps asks MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.errors import CacheUnwritable, ModelError
from app.evaluation import choose_evaluator
from app.folder_digest import digest_folder
from app.memory import find_memory_left, is_out_of_memory, keep_to
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.preparation.file import is_whole, write_prepared
from app.preparation.prepared import Prepared, place_of
from app.registry.cache import note_use
from app.registry.registry import Registry
from app.verification import verify, verify_files


def prepare(version: ModelVersion, registry: Registry, folders: Sequence[Path]) -> Prepared:
    """
    Download and verify a model version, unless that was done before, and keep what came of it.

    Parameters
    ----------
    version : ModelVersion
    registry : Registry
    folders : sequence of pathlib.Path
        Where prepared forms are kept; in the first that can be written.

    Raises
    ------
    ModelError
        If it cannot be had, or must not serve.
    """
    folder = registry.fetch(version)
    digest = digest_folder(folder)
    if known := find_prepared(version, folder, digest, folders):
        return known
    # Kubernetes has Linux end all processes of a container, and so what serves, if one takes more than there is.
    left = find_memory_left()
    try:
        with keep_to(left):
            verify_files(folder)
            loaded = Predictor.load(folder, version)
            verify(loaded)
            file = _keep(choose_evaluator(loaded), folder, [place_of(digest, place) for place in folders])
    except Exception as error:
        if left is None or not is_out_of_memory(error):
            raise
        raise ModelError(
            f"to verify {version} takes more memory than is left, {left >> 20} MiB; raise the container's limit"
        ) from None
    return Prepared(version, folder, file)


def find_prepared(version: ModelVersion, folder: Path, digest: str, folders: Sequence[Path]) -> Prepared | None:
    """What was prepared before of a model folder with this digest."""
    files = (place_of(digest, place) for place in folders)
    file = next((file for file in files if is_whole(file)), None)
    if file is None:
        return None
    note_use(file)
    return Prepared(version, folder, file)


def _keep(predictor: Predictor, folder: Path, files: Sequence[Path]) -> Path:
    failure: OSError | None = None
    for file in files:
        try:
            write_prepared(predictor, folder, file)
        except OSError as error:
            failure = failure or error
        else:
            return file
    raise CacheUnwritable(
        f"what was found out about {predictor.version} could not be kept in TREESERVE_CACHE_DIR: {failure}; make room "
        "there and let it be written, or name another folder"
    )
