"""How many processor cores this process may keep busy, and threads that keep them busy without holding others up."""

from __future__ import annotations

import math
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Beside a thread of priority 0 on the same core, one of this gets a quarter of the time.
_NICENESS = 5
_LAST = 19  # of all priorities
_CGROUP = Path("/sys/fs/cgroup")


def available_cores(cgroup: Path = _CGROUP) -> int:
    """
    Cores that this process may use: those it may run on, and no more than its cgroup's quota pays for.

    A container that may use two cores of a machine with 64 sees all 64; threads for them all would only wait.

    Parameters
    ----------
    cgroup : pathlib.Path
        Where the process's own cgroup is, of version 2 or 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota(cgroup) or cores))


def make_batch_threads(name: str, n_threads: int) -> ThreadPoolExecutor:
    """
    Threads for work that takes milliseconds.

    Where there are not enough cores for all, the event loop goes before them, or a batch would take half of its core
    from small requests.

    Parameters
    ----------
    name : str
        What the threads' names begin with.
    n_threads : int
    """
    return ThreadPoolExecutor(n_threads, thread_name_prefix=name, initializer=go_last)


def go_last() -> None:
    """Let the other threads of this process go before the calling one, where there are not enough cores for all."""
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        thread = threading.get_native_id()
        # Where the whole process was started with `nice`, below that; to go above it is not allowed.
        os.setpriority(os.PRIO_PROCESS, thread, min(_LAST, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS))


def give_way() -> None:
    """
    Let other threads of this process have the interpreter and this thread's core, if they want them now.

    On a single core it is not enough to let go of the interpreter: a thread that waits for it would not run before
    this one had taken it again.
    """
    os.sched_yield()


def _quota(cgroup: Path) -> int | None:
    """How many cores' time the cgroup has, rounded up; None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        return math.ceil(int(quota) / int(period)) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):  # "max"
        return None
