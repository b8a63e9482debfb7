"""Says what a training run does now, and after how many seconds; and nothing else does."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TextIO

from app.registry.store import without_credentials


class Progress:
    """One line a step, each with the seconds since the start; on standard output unless told otherwise."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._started = time.monotonic()

    def say(self, step: str) -> None:
        """Print a step at once, also into a pipe."""
        elapsed_s = time.monotonic() - self._started
        print(f"{elapsed_s:6.1f} s  {without_credentials(step)}", file=self._stream, flush=True)


def quieten_libraries() -> None:
    """Set what matters before XGBoost and matplotlib are imported."""
    # XGBoost's threads spin while they wait for each other. Where other processes want the same
    # cores, that made training six times slower; read when XGBoost is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # On a person's first run it looks at all fonts, and says so where that takes five seconds.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
