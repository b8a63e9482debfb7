"""A file of lines that makes room for itself: at a size it is renamed and begun anew, and the oldest is removed."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.line_sink import LineSink


class RotatingFile:
    """
    A sink; several processes may write to one file, each through one of these.

    What is renamed by others, as logrotate does it, is begun anew too.
    """

    def __init__(self, path: Path, max_bytes: int, n_kept: int) -> None:
        """
        Open a file to append to.

        Parameters
        ----------
        path : pathlib.Path
        max_bytes : int
            A file that would become larger is renamed to `path` with ``.1``, and so on. What is no regular file, such
            as a named pipe, is left as it is.
        n_kept : int
            How many of these are kept, 1 at least.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._n_kept = n_kept
        self._writing = threading.Lock()
        self._open()

    def write(self, lines: bytes, /) -> None:
        """
        Write whole lines, into one file.

        Raises
        ------
        LinesLost
            As `LineSink.write` does.
        OSError
            If the file was renamed and cannot be begun anew.
        """
        with self._writing:
            if self._is_regular:
                self._make_room(len(lines))
            self._sink.write(lines)

    def close(self) -> None:
        """Close it; nobody may write any more."""
        self._sink.close()

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        self._is_regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._sink = LineSink(self._descriptor)

    def _open_anew(self) -> None:
        before = self._sink
        self._open()
        before.close()

    def _make_room(self, n_bytes: int) -> None:
        if not self._is_in_place():
            self._open_anew()
        n_there = os.fstat(self._descriptor).st_size
        if not n_there or n_there + n_bytes <= self._max_bytes:
            return
        with suppress(OSError):  # it grows beyond its size then, which is better than a loss
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # until it is closed
            with self._keep_oldest():
                if self._is_in_place():  # and no other process has been quicker
                    self._rename()
                self._open_anew()

    def _is_in_place(self) -> bool:
        """Whether the path still leads to the open file."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    @contextmanager
    def _keep_oldest(self) -> Iterator[None]:
        """
        Keep what is about to be removed for as long.

        The new file would else get its inode, by which shippers know a file, and they would go on in it where they
        ended in the old one.
        """
        descriptor = None
        with suppress(OSError):
            descriptor = os.open(self._numbered(self._n_kept), os.O_RDONLY | os.O_NONBLOCK)
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _rename(self) -> None:
        for number in range(self._n_kept, 0, -1):
            with suppress(FileNotFoundError):
                self._numbered(number - 1).replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path
