"""Says on standard output what a training run does now, and after how many seconds."""

from __future__ import annotations

import time


class Progress:
    """One line a step, each with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def say(self, step: str) -> None:
        """Print a step at once, also into a pipe."""
        print(f"{self.elapsed_s:6.1f} s  {step}", flush=True)
