"""Removes from the cache folder what nobody has used for a week."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from app.preparation.last_verified import find_kept_names
from app.registry.cache import locked
from app.whole_file import ASIDE

KEPT_FOR_S = 7 * 24 * 3600  # as long as a rollback may want it

_DIGEST = re.compile(r"[0-9a-f]{64}")


def clean(cache_dir: Path) -> None:
    """
    Remove model versions, and what was prepared of them, that no start would ask for; never fails.

    A start asks for what some process has verified last for its URI, however long ago, so that stays. What a process
    serves it has in its memory.
    """
    kept = set(find_kept_names(cache_dir))
    for path in cache_dir.glob("*/*"):
        with suppress(OSError):
            is_ours = _DIGEST.fullmatch(path.name) or path.name.startswith(ASIDE)
            if is_ours and path.name not in kept and _age_s(path) > KEPT_FOR_S:
                if path.is_file():
                    path.unlink()
                    continue
                shutil.rmtree(path)
                with locked(cache_dir):  # or it would be gone while an entry is put into it
                    path.parent.rmdir()  # once it is empty


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
