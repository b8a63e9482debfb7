"""What a model URI meant when that was verified last: for a start while the registry does not answer."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

from app.model_version import ModelVersion
from app.whole_file import write_whole

log = logging.getLogger(__name__)


class LastVerified:
    """A file for each URI, in a folder that several processes may share; the last one to write is right."""

    def __init__(self, folder: Path, stores: str) -> None:
        """
        Name the folder.

        Parameters
        ----------
        folder : pathlib.Path
        stores : str
            The registry's addresses: the same URI means something else in another one.
        """
        self._folder = folder
        self._stores = stores

    def remember(self, uri: str, version: ModelVersion) -> None:
        """Keep what was verified; where that fails, only a start without the registry is worse off."""
        try:
            write_whole(self._place(uri), json.dumps(asdict(version)).encode())
        except OSError as error:
            log.warning("that %s was verified could not be kept (%s): no start without the registry", version, error)

    def recall(self, uri: str) -> ModelVersion | None:
        """What was verified last, as a version whose files may come from the cache folder; None if nothing was."""
        try:
            version = ModelVersion(**json.loads(self._place(uri).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return replace(version, is_immutable=True)

    def _place(self, uri: str) -> Path:
        return self._folder / hashlib.sha256(json.dumps([self._stores, uri]).encode()).hexdigest()
