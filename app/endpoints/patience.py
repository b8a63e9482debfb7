"""Ends what waits too long: one timer for all, where one for each request would take longer than its prediction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

_SWEEPS_A_WAIT = 10  # and so a wait takes at most a tenth longer than it should


class Patience:
    """
    Cancels tasks that wait for longer than they may; for one event loop.

    Attributes
    ----------
    seconds : float
    """

    def __init__(self, seconds: float) -> None:
        """
        Be patient for so long.

        Parameters
        ----------
        seconds : float
            How long a task may wait, unless it is given more time.
        """
        self.seconds = seconds
        self._ends_at: dict[asyncio.Task[object], float] = {}
        self._cancelled: set[asyncio.Task[object]] = set()
        self._is_sweeping = False

    async def wait_for(self, wanted: Awaitable[T]) -> T:
        """
        Wait, but not for ever.

        Raises
        ------
        TimeoutError
            If it took longer than it may.
        """
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        self._ends_at[task] = loop.time() + self.seconds
        if not self._is_sweeping:
            self._is_sweeping = True
            loop.call_later(self.seconds / _SWEEPS_A_WAIT, self._sweep, loop)
        try:
            return await wanted
        except asyncio.CancelledError:
            if task in self._cancelled and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            self._ends_at.pop(task, None)
            self._cancelled.discard(task)

    def give(self, seconds: float) -> None:
        """Let the task that is running wait for some seconds more."""
        task = asyncio.current_task()
        if task in self._ends_at:
            self._ends_at[task] += seconds

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, ends_at in self._ends_at.items() if ends_at <= now]:
            del self._ends_at[task]
            self._cancelled.add(task)
            task.cancel()
        self._is_sweeping = bool(self._ends_at)
        if self._is_sweeping:
            loop.call_later(self.seconds / _SWEEPS_A_WAIT, self._sweep, loop)
