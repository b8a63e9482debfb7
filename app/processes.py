"""What every process of the service does about itself when it begins."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with_parent() -> None:
    """Ask Linux to end this process with the one that started it: no work is to outlive the service."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def hide_scikit_learn() -> None:
    """
    Let XGBoost do without scikit-learn, which it imports where that is installed, as it is for training.

    It takes two seconds and serving has no use for it. None in `sys.modules` makes the import fail.
    """
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
