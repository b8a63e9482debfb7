"""The registry as the service sees it: what a URI means now, and where its files are."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from app.errors import CacheUnwritable, ModelNotFound
from app.folder_digest import digest_folder
from app.model_version import ModelVersion
from app.registry import child
from app.registry.cache import ModelCache
from app.registry.resolve import resolve_model_uri
from app.registry.store import find_tracking_uri, registry_uri


class Registry(Protocol):
    """Anything that model versions come from; tests hand in a fake one."""

    def resolve(self, uri: str) -> ModelVersion:
        """Which model version the URI means now; raises `ModelError`."""

    def fetch(self, version: ModelVersion) -> Path:
        """A folder with the model version's files; raises `ModelError`."""


class MlflowRegistry:
    """
    MLflow, whichever store it keeps, with a cache of model folders on local disk.

    Attributes
    ----------
    cache_dir : pathlib.Path
    """

    def __init__(self, tracking_uri: str, cache_dir: Path, registry_uri: str | None = None) -> None:
        """
        Name the stores.

        Parameters
        ----------
        tracking_uri : str
            Where runs and logged models are; empty where there is nothing but folders and artifact stores.
        cache_dir : pathlib.Path
        registry_uri : str or None
            Where registered models are; None for the same.
        """
        self._tracking_uri = tracking_uri
        self._registry_uri = registry_uri or tracking_uri
        self.cache_dir = cache_dir
        self._cache = ModelCache(cache_dir)

    @classmethod
    def of_environment(cls, environ: Mapping[str, str], cache_dir: Path) -> MlflowRegistry:
        """The one that ``MLFLOW_TRACKING_URI`` and ``MLFLOW_REGISTRY_URI`` name, or the project's own."""
        return cls(find_tracking_uri(environ), cache_dir, registry_uri(environ))

    def to_json(self) -> list[str]:
        """What `from_json` makes the same registry of in another process."""
        return [self._tracking_uri, str(self.cache_dir), self._registry_uri]

    @classmethod
    def from_json(cls, places: Sequence[str]) -> MlflowRegistry:
        """The registry that `to_json` was asked of."""
        tracking_uri, cache_dir, registry_uri = places
        return cls(tracking_uri, Path(cache_dir), registry_uri)

    def resolve(self, uri: str) -> ModelVersion:
        """
        Which model version the URI means now.

        Raises
        ------
        ModelUriInvalid, ModelNotFound, RegistryUnreachable
        """
        return resolve_model_uri(uri, self._registry_uri)

    def fetch(self, version: ModelVersion) -> Path:
        """
        A local folder with the model version's files, downloaded unless they are there already.

        Raises
        ------
        ModelNotFound
            If its files are gone.
        RegistryUnreachable
            If they cannot be downloaded.
        CacheUnwritable
            If the cache folder is full or cannot be written.
        """
        source = _local_folder(version.source)
        if source is not None and not version.is_immutable:
            return source  # a directory that was named as such is read where it is
        key = self._key(version)
        if version.is_immutable and (cached := self._cache.find(key)):
            return cached
        try:
            return self._cache.add(key, lambda folder: self._download(version, source, folder))
        except OSError as error:
            # copytree tells all that went wrong, each with source, target and reason.
            reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error
            raise CacheUnwritable(
                f"the files of {version} could not be kept in TREESERVE_CACHE_DIR: {reason}; make room "
                "there and let it be written, or name another folder"
            ) from None

    def find(self, version: ModelVersion) -> list[tuple[Path, str]]:
        """The folders, each with its digest, that hold a model version's files without a download; perhaps none."""
        source = _local_folder(version.source)
        if version.is_immutable:
            return [(entry, entry.name) for entry in self._cache.entries(self._key(version))]
        return [] if source is None else [(source, digest_folder(source))]

    def _key(self, version: ModelVersion) -> str:
        # With run and source: a store that was deleted and made anew counts its versions from 1 again.
        stores = f"{self._registry_uri} {self._tracking_uri}"
        identity = [stores, version.name, version.version, version.run_id, version.source]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]

    def _download(self, version: ModelVersion, source: Path | None, folder: Path) -> None:
        if source is None:
            child.download(version.source, folder, self._tracking_uri)
        else:
            _copy(source, folder, version)


def _local_folder(source: str) -> Path | None:
    """The folder that a source names, if it is one on this machine."""
    parts = urlsplit(source)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path) if parts.scheme else source)


def _copy(source: Path, folder: Path, version: ModelVersion) -> None:
    if not source.is_dir():
        raise ModelNotFound(
            f"the files of {version} are not at {source} any more; if the project was moved or copied, its store "
            "still names the old folder: move it back, or delete .mlflow and train again (make train)"
        )
    # Links stay links: one that leaves the folder is refused later, and not what it leads to copied into the cache.
    shutil.copytree(source, folder, dirs_exist_ok=True, symlinks=True)
