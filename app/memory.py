"""How much memory the container has left, and how a process is kept from taking more."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
# What a cgroup may take, has, and has of what: of version 2 and of version 1.
_FILES = [
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
]
# Of a container's limit, what is left for those that serve meanwhile.
_RESERVE = 1 / 16


def find_memory_left(cgroup: Path = _CGROUP) -> int | None:
    """
    Bytes that the processes of this cgroup may still take together; None where it has no limit.

    Parameters
    ----------
    cgroup : pathlib.Path
        Where the process's own cgroup is, of version 2 or 1.
    """
    for names in _FILES:
        try:
            limit, used, stat = ((cgroup / name).read_text() for name in names)
            return _subtract(int(limit), int(used), dict(line.split() for line in stat.splitlines()))
        except (OSError, ValueError):  # "max"
            pass
    return None


def _subtract(limit: int, used: int, stat: Mapping[str, str]) -> int | None:
    if limit >= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        return None  # version 1 has a number for it
    # What was read from files Linux gives back as soon as somebody needs it; not so files that are only in memory.
    cached = int(stat.get("file", stat.get("total_cache", 0)))
    cached -= int(stat.get("total_shmem", stat.get("shmem", 0)))
    return max(0, limit - used + cached - int(limit * _RESERVE))


@contextmanager
def keep_to(n_bytes: int | None) -> Iterator[None]:
    """
    Let this process have so much more memory meanwhile, and be refused what is beyond; None lets it have all it wants.

    Counted is what it may write into, whether it has done so or not.
    """
    if n_bytes is None:
        yield
        return
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
    most = int(held.split()[1]) * 1024 + n_bytes
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory, which Python, C++ and threads each say in words of their own."""
    told = str(error)
    return isinstance(error, MemoryError) or "bad_alloc" in told or "can't start new thread" in told
