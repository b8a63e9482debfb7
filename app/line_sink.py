"""Where log lines go: a file descriptor to which several threads write whole lines."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

Piece = tuple[bytes, int]  # whole lines, and how many instances they are of


class Sink(Protocol):
    """Anything that takes lines."""

    def write(self, lines: bytes, /) -> object:
        """Write one or more whole lines in UTF-8, each with its end; raises `OSError`, perhaps `LinesLost`."""


class LinesLost(OSError):
    """The last lines could not be written, `lost` as they are; those before them were."""

    def __init__(self, error: OSError, lost: bytes) -> None:
        super().__init__(error.errno, error.strerror)
        self.lost = lost


class LineSink:
    """
    An open file descriptor.

    It bypasses Python's own streams: a thread that waits in one of them, because nobody reads the
    pipe, holds a lock that the interpreter needs to end.
    """

    def __init__(self, descriptor: int, lock: int | None = None) -> None:
        """
        Write to a descriptor.

        Parameters
        ----------
        descriptor : int
        lock : int or None
            Descriptor of a file that is locked meanwhile, where other processes write to the same pipe: it takes more
            than a few kilobytes in several pieces.
        """
        self._descriptor = descriptor
        self._lock = lock
        # Or a batch's lines, which are several writes to a pipe, would mix with others.
        self._writing = threading.Lock()
        self._at_line_start = True

    def write(self, lines: bytes, /) -> None:
        """
        Write whole lines, waiting as long as it takes.

        Raises
        ------
        LinesLost
            If the disk is full or the reader is gone. What was cut then is ended with the next line that is written.
        """
        with self._writing, self._alone():
            rest = memoryview(lines if self._at_line_start else b"\n" + lines)
            while rest:
                try:
                    n_written = os.write(self._descriptor, rest)
                except BlockingIOError:  # another process that shares the pipe has made it non-blocking
                    select.select([], [self._descriptor], [])
                    continue
                except OSError as error:
                    # With the one that was cut; and all of them, if not even the end of an earlier one was taken.
                    n_taken = max(0, len(lines) - len(rest))
                    raise LinesLost(error, lines[lines.rfind(b"\n", 0, n_taken) + 1 :]) from None
                self._at_line_start = rest[n_written - 1] == ord("\n")
                rest = rest[n_written:]

    def share(self, lock: int) -> None:
        """Lock a file from now on, as the constructor takes it."""
        self._lock = lock

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._lock is None:
            yield
            return
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the descriptor; nobody may write any more."""
        os.close(self._descriptor)
