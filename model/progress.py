"""Says what a training run does now, and after how many seconds."""

from __future__ import annotations

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
