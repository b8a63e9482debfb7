"""Files that are there whole or not at all, whoever reads them while they are written."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

ASIDE = ".writing-"  # begins the name of a file that is not whole, and of one whose writer was killed


def write_whole(place: Path, content: bytes) -> None:
    """
    Write a file aside and put it into its place, readable for all.

    Raises
    ------
    OSError
        If there is no room, or the folder cannot be made or written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(prefix=ASIDE, dir=place.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.chmod(aside, 0o644)
        os.replace(aside, place)
    except OSError:
        with suppress(OSError):
            os.unlink(aside)
        raise
