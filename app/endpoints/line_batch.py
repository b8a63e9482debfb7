"""
Requests whose lines of the payload log are written together.

Between two answers the code that writes lines leaves the processor's caches, and writing them after each answer takes
five times as long as writing many at a stretch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.endpoints.request_context import RequestContext
from app.forest.kernel_forest import FloatMatrix
from app.metrics import DropReason
from app.payload_log import PayloadLog
from app.shadow.answered import Answered
from app.shadow.roles import Roles
from app.shadow.shadow import Shadow

if TYPE_CHECKING:
    from app.wire._codec import Lines

# So many take about a tenth of a millisecond, for which other requests wait.
_AT_ONCE = 64
_PAUSE_S = 0.02


class LineBatch:
    """Gathers what small and plain requests asked and were answered, on the event loop's thread alone."""

    def __init__(self, payload_log: PayloadLog, shadow: Shadow) -> None:
        self._payload_log = payload_log
        self._shadow = shadow
        self._roles: Roles | None = None
        self._lines: Lines | None = None
        self._answered: Answered | None = None
        self._n_lines = 0  # or rows, where they are predicted in shadow
        self._timer: asyncio.TimerHandle | None = None

    def add(
        self,
        roles: Roles,
        matrix: FloatMatrix,
        predictions: FloatMatrix,
        body: bytes,
        told: str,
        context: RequestContext,
        duration_ns: int,
        *,
        is_wanted: bool = True,
    ) -> None:
        """
        Take one exchange; its lines are handed over in a fiftieth of a second at the latest.

        Parameters
        ----------
        roles : Roles
            In which it was answered.
        matrix, predictions
            As `app.shadow.answered.Answered` has them.
        body, told, context, duration_ns
            As `app.wire.exchange.Exchange` has them; `told` are the predictions.
        is_wanted : bool
            Whether it has lines at all; one that has none is only predicted in shadow.
        """
        if roles is not self._roles:
            self.flush()
            self._roles = roles
        if self._lines is None:
            self._lines = roles.lines.gather()
            self._answered = None if roles.other is None else Answered(roles, self._lines)
        if is_wanted:
            self._lines.add(body, told, context.request_id, context.trace_id, context.at_us, duration_ns)
        if self._answered is not None:
            self._answered.add(body, matrix, predictions, is_wanted=is_wanted)
        self._n_lines += len(matrix)
        if self._n_lines >= _AT_ONCE:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_S, self._on_time)

    def flush(self) -> None:
        """Hand over what was gathered; called too before shadow and payload log are closed."""
        if self._lines is None:
            return
        lines, answered, n_lines = self._lines, self._answered, self._n_lines
        # With its predictors, or versions that were replaced long ago would stay.
        self._roles, self._lines, self._answered, self._n_lines = None, None, None, 0
        if answered is not None:
            if self._shadow.offer(answered):
                return
            n_lines = answered.n_lines
        try:
            pieces = list(lines)
        except MemoryError:
            self._payload_log.lose(n_lines, DropReason.NO_MEMORY)
        else:
            self._payload_log.record(pieces, n_lines, sum(len(piece) for piece, _ in pieces))

    def _on_time(self) -> None:
        self._timer = None
        self.flush()
