"""Removes from the cache folder what nobody has used for a week."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.whole_file import ASIDE

KEPT_FOR_S = 7 * 24 * 3600  # as long as a rollback may want it

_DIGEST = re.compile(r"[0-9a-f]{64}")


def clean(cache_dir: Path) -> None:
    """
    Remove model versions, and what was prepared of them, that no start would ask for; never fails.

    A start asks for what some process has verified last for its URI, however long ago, so that stays. What a process
    serves it has in its memory.
    """
    named = set(_find_named(cache_dir))
    for path in [*cache_dir.glob("prepared/*"), *cache_dir.glob("*/*")]:
        with suppress(OSError):
            is_ours = _DIGEST.fullmatch(path.name) or path.name.startswith(ASIDE)
            if is_ours and str(path) not in named and _age_s(path) > KEPT_FOR_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                path.parent.rmdir()  # once it is empty


def _find_named(cache_dir: Path) -> Iterator[str]:
    """The folders and files that were verified last; the files that say so are themselves used when they are named."""
    for record in cache_dir.glob("last_verified/*"):
        yield str(record)
        with suppress(OSError, ValueError, TypeError, KeyError):
            document = json.loads(record.read_bytes())
            yield document["folder"]
            yield document["file"]


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
