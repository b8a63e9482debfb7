"""What a model URI meant when that was verified last: for a start while the registry does not answer."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.model_version import ModelVersion
from app.preparation.prepared import Prepared
from app.whole_file import ASIDE, write_whole

log = logging.getLogger(__name__)

_FOLDER = "last_verified"
_MAX_SERVED = 100


class LastVerified:
    """
    A file for each URI, in a cache folder that several processes may share; the last one to write is right.

    What a file names is what `app.preparation.cleaning` leaves in the cache folder, however old it is.
    """

    def __init__(self, cache_dir: Path, stores: str) -> None:
        """
        Name the places.

        Parameters
        ----------
        cache_dir : pathlib.Path
        stores : str
            The registry's addresses: the same URI means something else in another one.
        """
        self._folder = cache_dir / _FOLDER
        self._stores = stores

    def remember(self, uri: str, prepared: Prepared) -> None:
        """Keep what was verified; where that fails, only a start without the registry is worse off."""
        served = [version for version in self._read(uri).get("served", []) if version != prepared.version.version]
        document = {**prepared.to_json(), "served": [*served, prepared.version.version][-_MAX_SERVED:]}
        try:
            write_whole(self._place(uri), json.dumps(document).encode())
        except OSError as error:
            if not Path(prepared.version.source).is_dir():  # which needs no registry
                log.warning(
                    "that %s is verified cannot be kept (%s): no start without a registry", prepared.version, error
                )

    def forget(self, uri: str) -> None:
        """Recall nothing any more; what has served stays known."""
        document = self._read(uri)
        if "version" in document:
            with suppress(OSError):
                write_whole(self._place(uri), json.dumps({"served": document.get("served", [])}).encode())

    def recall(self, uri: str) -> ModelVersion | None:
        """What was verified last, as a version whose files may come from the cache folder; None if nothing was."""
        try:
            return replace(Prepared.from_json(self._read(uri)).version, is_immutable=True)
        except (TypeError, KeyError):
            return None

    def has_served(self, uri: str, version: ModelVersion) -> bool:
        """Whether the URI meant this version before, and its callers know it."""
        return version.version in self._read(uri).get("served", [])

    def _read(self, uri: str) -> dict[str, Any]:
        try:
            document = json.loads(self._place(uri).read_bytes())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def _place(self, uri: str) -> Path:
        return self._folder / hashlib.sha256(json.dumps([self._stores, uri]).encode()).hexdigest()


def find_kept_names(cache_dir: Path) -> Iterator[str]:
    """
    The names of all that was verified last, whatever the URI, and of the records that say so.

    Names and no paths: machines that share a cache folder may have it in different places, and of what is in it each
    name is a digest.
    """
    for record in (cache_dir / _FOLDER).glob("*"):
        if record.name.startswith(ASIDE):
            continue
        yield record.name
        with suppress(OSError, ValueError, TypeError, KeyError):
            prepared = Prepared.from_json(json.loads(record.read_bytes()))
            yield prepared.folder.name
            yield prepared.file.name
