"""
Model folders on local disk, whole or not at all.

An entry is written aside and renamed into place. Its name is the digest of its files, so that it never changes: what a
process is reading stays, whatever others add, and an entry that does not match its name is thrown away. Several
processes may share a cache folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

_REMAINS_AFTER_S = 24 * 3600  # far longer than any download may take


class ModelCache:
    """Model folders under one folder, by key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Path | None:
        """A folder that was added under the key; None where there is none, or it was not whole and is now gone."""
        try:
            with _locked(self._folder):
                entries = sorted((self._folder / key).iterdir())
                whole = [entry for entry in entries if _is_whole(entry)]
        except OSError:  # there is no such folder, or none that may be read
            return None
        return whole[0] if whole else None

    def add(self, key: str, download: Callable[[Path], None]) -> Path:
        """
        Keep a model folder.

        Parameters
        ----------
        key : str
        download : callable
            Puts the files into the empty folder that it is given. If it fails, nothing is kept.

        Returns
        -------
        pathlib.Path
            Where the files are now.

        Raises
        ------
        OSError
            If the disk is full or the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remove_remains()
        aside = Path(tempfile.mkdtemp(prefix=".adding-", dir=self._folder))
        try:
            files = aside / "files"
            files.mkdir()
            download(files)
            entry = self._folder / key / _digest(files)
            entry.parent.mkdir(exist_ok=True)
            with _locked(self._folder):
                # Another process may have been first; its copy stays, for it may be reading it.
                if not (entry.is_dir() and _is_whole(entry)):
                    files.rename(entry)
            return entry
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _remove_remains(self) -> None:
        """Remove what processes left behind that were killed while they added an entry."""
        for remains in self._folder.glob(".adding-*"):
            with suppress(FileNotFoundError):
                if time.time() - remains.stat().st_mtime > _REMAINS_AFTER_S:
                    shutil.rmtree(remains, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads from adding and throwing away meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems lock no folder; what is in use there is still never changed
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_whole(entry: Path) -> bool:
    """Whether an entry's files are what they were; throws it away otherwise."""
    if _digest(entry) == entry.name:
        return True
    log.warning("the cached model in %s is not whole; it is thrown away and fetched again", entry)
    shutil.rmtree(entry, ignore_errors=True)
    return False


def _digest(folder: Path) -> str:
    """SHA-256 over the path and the bytes of each file below a folder."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digests[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()
