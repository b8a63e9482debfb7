"""
Model folders on local disk, whole or not at all.

An entry is written aside and renamed into place, with the digest of every file beside it; one
whose files do not match is thrown away. Several processes may share a cache folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

_MANIFEST = "digests.json"
_FILES = "files"
_REMAINS_AFTER_S = 24 * 3600  # far longer than any download may take


class ModelCache:
    """Entries under one folder, by key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Path | None:
        """The model folder of an entry; None where there is none, or it was not whole and is now gone."""
        entry = self._folder / key
        if not entry.is_dir():
            return None
        try:
            expected = json.loads((entry / _MANIFEST).read_bytes())
            if expected == _digests(entry / _FILES):
                return entry / _FILES
        except (OSError, ValueError):
            pass
        log.warning("the cached model in %s is not whole; it is thrown away and fetched again", entry)
        shutil.rmtree(entry, ignore_errors=True)
        return None

    @contextmanager
    def fill(self, key: str) -> Iterator[Path]:
        """
        Give an empty folder to download into; the entry exists once the block ends without an error.

        Raises
        ------
        OSError
            If the disk is full or the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remove_remains()
        aside = Path(tempfile.mkdtemp(prefix=".filling-", dir=self._folder))
        try:
            files = aside / _FILES
            files.mkdir()
            yield files
            (aside / _MANIFEST).write_text(json.dumps(_digests(files), indent=1), encoding="utf-8")
            self._put(aside, self._folder / key)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _remove_remains(self) -> None:
        """Remove what processes left behind that were killed while they filled an entry."""
        for remains in [*self._folder.glob(".filling-*"), *self._folder.glob(".replaced-*")]:
            with suppress(FileNotFoundError):
                if time.time() - remains.stat().st_mtime > _REMAINS_AFTER_S:
                    shutil.rmtree(remains, ignore_errors=True)

    def place(self, key: str) -> Path:
        """Where the model folder of an entry is, once it is filled."""
        return self._folder / key / _FILES

    @staticmethod
    def _put(aside: Path, entry: Path) -> None:
        while True:
            try:
                os.rename(aside, entry)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            # Another process was first: its copy stays, for it may be reading it. Or ours is a newer one of
            # something that can change.
            if _is_copy(entry, aside):
                return
            old = Path(tempfile.mkdtemp(prefix=".replaced-", dir=entry.parent))
            with suppress(FileNotFoundError):  # another process has just moved it away
                os.rename(entry, old / "entry")
            shutil.rmtree(old, ignore_errors=True)


def _is_copy(entry: Path, aside: Path) -> bool:
    try:
        return _digests(entry / _FILES) == _digests(aside / _FILES)
    except FileNotFoundError:
        return False


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its path in it."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digests[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
