"""Lets one process at a time do a thing on this machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import TrainingError


@contextmanager
def alone(name: str) -> Iterator[None]:
    """
    Hold a lock that the system takes back when the process ends, however it ends.

    Raises
    ------
    TrainingError
        If another process of the same person holds it.
    """
    file = Path(tempfile.gettempdir()) / f"treeserve-{os.getuid()}-{name}.lock"
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError("this search runs already on this machine: let it end, or end it first") from None
        yield
