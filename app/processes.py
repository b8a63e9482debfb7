"""What every process of the service does when it begins, about itself and about those that it starts."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# What takes a second takes two so. Beside a service at the limit of its only core, p99 was 1.1 to 1.4 times as
# long as alone; with a lower priority 3.5 times, with the idle policy alone 2.4.
_STRETCH_S, _BREAK_S = 0.0002, 0.0004
_LOW = 10


def end_with_parent() -> None:
    """Ask Linux to end this process with the one that started it: no work is to outlive the service."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def python_module(name: str) -> list[str]:
    """
    The command that runs a module of ours in a process of its own.

    ``-P``, or Python would look into the working directory first, where somebody else's `app` may be.
    """
    return [sys.executable, "-P", "-m", name]


def let_it_be_killed_first(pid: int) -> None:
    """
    Let a process that was just started, and those that it starts, be what Linux kills where memory runs out.

    It is not left to the process itself, whose interpreter takes a while to start: until then it could be the service.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # it has ended already, or /proc is only read
            Path(f"/proc/{pid}/oom_score_adj").write_text("1000")


def leave_it_gaps(pid: int) -> None:
    """
    Let a process that was just started work only where others leave time; it calls `work_in_gaps`.

    A priority alone does not do: with the lazy preemption that Linux has since 6.13, a process keeps its core until the
    next tick, 4 ms, whoever wakes up meanwhile. Any interrupt is enough to take it away, though, and a timer makes one.
    The breaks are for a cgroup's quota, of which is taken what is computed on other cores too.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # it has ended already
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def lower_priority(pid: int) -> None:
    """Let a process that was just started have a tenth of what others have that want the same core."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _LOW)


def starved_s(pid: int) -> float:
    """How long a process, and those that it has started, have waited for a core, in seconds; 0 if nobody knows."""
    waited_ns = 0
    with suppress(OSError, ValueError, IndexError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in [str(pid), *children]:
            waited_ns += int(Path(f"/proc/{one}/schedstat").read_text().split()[1])
    return waited_ns / 1e9


def work_in_gaps() -> None:
    """Take breaks if this process, or the one that started it, is to work in gaps."""
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_IDLE:
        signal.signal(signal.SIGALRM, _take_break)
        signal.siginterrupt(signal.SIGALRM, False)
        # Python gives signals their own meaning back while it ends: the next alarm would kill what has done its work.
        atexit.register(signal.signal, signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, _STRETCH_S, _STRETCH_S)


def _take_break(*_: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)  # or the next would be due before anything was done
    time.sleep(_BREAK_S)
    signal.setitimer(signal.ITIMER_REAL, _STRETCH_S, _STRETCH_S)


def hide_unneeded_libraries() -> None:
    """
    Let XGBoost do without scikit-learn and SciPy, which it imports where they are installed.

    They take more time than all else that starting does, and the service's image holds neither. None in `sys.modules`
    makes an import fail, which XGBoost expects of scikit-learn. SciPy it does not do without: it wants the module of
    sparse matrices, and the type of one, to ask whether what it was given is such a matrix.
    """
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    if "scipy" not in sys.modules:
        scipy, sparse = ModuleType("scipy"), ModuleType("scipy.sparse")
        vars(scipy)["sparse"], vars(sparse)["csr_matrix"] = sparse, type("csr_matrix", (), {})
        sys.modules.update({"scipy": scipy, "scipy.sparse": sparse})
