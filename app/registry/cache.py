"""
Model folders on local disk, whole or not at all.

An entry is written aside and renamed into place. Its name is the digest of its files, so that it never changes: what a
process is reading stays, whatever others add, and an entry that does not match its name is thrown away. Several
processes may share a cache folder: locks keep them apart, and tell whether a process that writes an entry still lives.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from app.folder_digest import digest_folder

log = logging.getLogger(__name__)

_LOCK = ".lock"
_REMAINS_AFTER_S = 24 * 3600  # where there are no locks; far longer than any download may take


class ModelCache:
    """Model folders under one folder, by key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self, key: str) -> list[Path]:
        """
        The folders that were added under the key, the newest first, whole or damaged since.

        The name of each is the digest of the files that were added.
        """
        try:
            return sorted((self._folder / key).iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True)
        except OSError:  # there is no such folder, or none that may be read
            return []

    def find(self, key: str) -> Path | None:
        """A folder that was added under the key; None where there is none, or it was not whole and is now gone."""
        try:
            entry = next((entry for entry in self.entries(key) if self._is_whole(entry)), None)
        except OSError:
            return None
        if entry is not None:
            note_use(entry)
        return entry

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
        with self._make_aside() as aside:
            files = aside / "files"
            files.mkdir()
            download(files)
            entry = self._folder / key / digest_folder(files)
            # Another process may have been first; its copy stays, for it may be reading it.
            if not (entry.is_dir() and self._is_whole(entry)):
                with locked(self._folder):
                    entry.parent.mkdir(exist_ok=True)
                    try:
                        files.rename(entry)
                    except OSError:
                        if not _matches(entry):
                            raise
            note_use(entry)  # a copy is as old as what it was made of
            return entry

    def _is_whole(self, entry: Path) -> bool:
        """Whether an entry's files are what they were; throws it away otherwise."""
        if _matches(entry):  # without the lock: gigabytes take seconds, and others are not to wait for them
            return True
        with locked(self._folder):
            if not entry.is_dir():  # another process has thrown it away, or it is somebody's stray file
                return False
            if _matches(entry):  # and made it good again
                return True
            log.warning("the cached model in %s is not whole; it is thrown away and fetched again", entry)
            shutil.rmtree(entry, ignore_errors=True)
            return False

    @contextmanager
    def _make_aside(self) -> Iterator[Path]:
        """A folder to make an entry in, gone afterwards; of a process that was killed, others remove it."""
        with ExitStack() as held:
            with locked(self._folder):
                for remains in filter(_is_abandoned, self._folder.glob(".adding-*")):
                    shutil.rmtree(remains, ignore_errors=True)
                aside = Path(tempfile.mkdtemp(prefix=".adding-", dir=self._folder))
                held.callback(shutil.rmtree, aside, ignore_errors=True)
                held.enter_context(locked(aside))  # let go of before it is removed, as NFS wants it
            yield aside


def note_use(path: Path) -> None:
    """Give it the time of now, by which is known what nobody uses any more."""
    with suppress(OSError):  # it may be somebody else's, or in a folder that is only read
        os.utime(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which ends with the process; of the cache folder: to add and to throw away."""
    with ExitStack() as held:
        # Some network file systems have no locks, and a folder may not be ours to write. What is in use is never
        # changed there either; at worst two processes mend one damaged entry at once, and one of them fails.
        with suppress(OSError):
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _is_abandoned(aside: Path) -> bool:
    """Whether the process that made the folder is gone: nobody holds its lock or, without locks, it is old."""
    try:
        with (aside / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        with suppress(OSError):
            return time.time() - aside.stat().st_mtime > _REMAINS_AFTER_S
        return False
    return True


def _matches(entry: Path) -> bool:
    """Whether an entry's files are those of its name; they are not either while another process removes them."""
    try:
        return digest_folder(entry) == entry.name
    except FileNotFoundError:
        return False
