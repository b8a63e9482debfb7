"""What a model URI meant when that was verified last: for a start while the registry does not answer."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from pathlib import Path

from app.model_version import ModelVersion
from app.preparation.prepared import Prepared
from app.whole_file import write_whole

log = logging.getLogger(__name__)


class LastVerified:
    """
    A file for each URI, in a folder that several processes may share; the last one to write is right.

    What a file names is what `app.preparation.cleaning` leaves in the cache folder, however old it is.
    """

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

    def remember(self, uri: str, prepared: Prepared) -> None:
        """Keep what was verified; where that fails, only a start without the registry is worse off."""
        try:
            write_whole(self._place(uri), json.dumps(prepared.to_json()).encode())
        except OSError as error:
            log.warning("that %s is verified cannot be kept (%s): no start without a registry", prepared.version, error)

    def recall(self, uri: str) -> ModelVersion | None:
        """What was verified last, as a version whose files may come from the cache folder; None if nothing was."""
        try:
            prepared = Prepared.from_json(json.loads(self._place(uri).read_bytes()))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return replace(prepared.version, is_immutable=True)

    def _place(self, uri: str) -> Path:
        return self._folder / hashlib.sha256(json.dumps([self._stores, uri]).encode()).hexdigest()
