"""The digest of a folder: the same for the same files with the same bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def digest_folder(folder: Path, pattern: str = "*") -> str:
    """
    SHA-256 over the path and the bytes of each file below a folder.

    Parameters
    ----------
    folder : pathlib.Path
    pattern : str
        Which files, as `pathlib.Path.rglob` takes it.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    digests = {}
    for path in sorted(folder.rglob(pattern)):
        if path.is_file():
            with path.open("rb") as file:
                digests[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()
