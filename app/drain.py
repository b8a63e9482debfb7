"""How the process ends: whether it was told to, and how much time is left for what."""

from __future__ import annotations

import threading
import time

# What requests leave of the time after the grace, for the payload log and Python's own end.
_MOST_RESERVED_S = 5.0
_SHARE_RESERVED = 0.5
# Of that, what Python's own end may take.
_SHARE_OF_THE_EXIT = 0.2


class Drain:
    """
    The end of the process, from the signal to its exit.

    Before it has begun there is no end, and nothing may be asked about the time that is left.

    Attributes
    ----------
    has_begun : bool
        Whether the process was told to end: it is not ready, and each answer is its connection's last.
    """

    def __init__(self, grace_s: float, deadline_s: float) -> None:
        """
        Plan an end.

        Parameters
        ----------
        grace_s : float
            How long connections are still accepted.
        deadline_s : float
            How long all of it may take; more than `grace_s`.
        """
        self.has_begun = False
        self._grace_s = grace_s
        self._deadline_s = deadline_s
        self._grace_ends_at = self._ends_at = 0.0
        self._begun = threading.Event()

    def begin(self, *, with_grace: bool) -> None:
        """Begin to end; whoever says so later changes nothing."""
        if not self.has_begun:
            now = time.monotonic()
            self._ends_at = now + self._deadline_s
            self._grace_ends_at = now + (self._grace_s if with_grace else 0.0)
            self.has_begun = True
            self._begun.set()

    def wait_for_begin(self) -> None:
        """Wait, for as long as the process serves, until it is told to end."""
        self._begun.wait()

    def end_grace(self) -> None:
        """Accept no longer."""
        self._grace_ends_at = 0.0

    @property
    def is_in_grace(self) -> bool:
        """Whether connections are still accepted."""
        return time.monotonic() < self._grace_ends_at

    @property
    def requests_s(self) -> float:
        """How long requests may still take, in seconds; 0 if their time is over."""
        return self._left_s(self._reserve_s)

    @property
    def log_s(self) -> float:
        """How long the payload log may still be written, in seconds."""
        return min(_MOST_RESERVED_S, self._left_s(self._reserve_s * _SHARE_OF_THE_EXIT))

    @property
    def exit_s(self) -> float:
        """When the process has to be gone, in seconds from now."""
        return self._left_s(0.0)

    @property
    def _reserve_s(self) -> float:
        return min(_MOST_RESERVED_S, (self._deadline_s - self._grace_s) * _SHARE_RESERVED)

    def _left_s(self, reserve_s: float) -> float:
        return max(0.0, self._ends_at - reserve_s - time.monotonic())
