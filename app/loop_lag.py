"""How late the event loop is: what it has not come to yet waits in the sockets, where nothing else counts it."""

from __future__ import annotations

import asyncio

from app.tallies import Spread

_EVERY_S = 0.25


class LoopLag:
    """Sets a timer again and again, and notes how late it comes."""

    def __init__(self, lag: Spread, loop: asyncio.AbstractEventLoop) -> None:
        """
        Begin.

        Parameters
        ----------
        lag : Spread
            Of seconds.
        loop : asyncio.AbstractEventLoop
            On whose thread this is called.
        """
        self._lag = lag
        self._loop = loop
        self._set()

    def stop(self) -> None:
        """Set no timer any more."""
        self._timer.cancel()

    def _set(self) -> None:
        self._due_s = self._loop.time() + _EVERY_S
        self._timer = self._loop.call_later(_EVERY_S, self._on_time)

    def _on_time(self) -> None:
        self._lag.observe(max(0.0, self._loop.time() - self._due_s))
        self._set()
