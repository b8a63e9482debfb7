"""
Requests whose lines of the payload log are written together.

Between two answers the code that writes lines leaves the processor's caches, and writing them after each answer takes
five times as long as writing many at a stretch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.endpoints.request_context import RequestContext
from app.metrics import DropReason
from app.payload_log import PayloadLog
from app.predictor import Predictor

if TYPE_CHECKING:
    from app.wire._codec import Lines

# So many take about a tenth of a millisecond, for which other requests wait.
_AT_ONCE = 64
_PAUSE_S = 0.02


class LineBatch:
    """Gathers what small and plain requests asked and were answered, on the event loop's thread alone."""

    def __init__(self, payload_log: PayloadLog) -> None:
        self._payload_log = payload_log
        self._predictor: Predictor | None = None
        self._lines: Lines | None = None
        self._n_lines = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(
        self,
        predictor: Predictor,
        n_lines: int,
        body: bytes,
        predictions: str,
        context: RequestContext,
        duration_ns: int,
    ) -> None:
        """
        Take one exchange; its lines are handed over in a fiftieth of a second at the latest.

        Parameters
        ----------
        predictor : Predictor
            Which answered.
        n_lines : int
            The instances it has.
        body, predictions, context, duration_ns
            As `app.wire.exchange.Exchange` has them.
        """
        if predictor is not self._predictor:
            self.flush()
            self._predictor = predictor
        if self._lines is None:
            self._lines = predictor.decoder.gather_lines(predictor.log_members)
        self._lines.add(body, predictions, context.request_id, context.trace_id, context.at_us, duration_ns)
        self._n_lines += n_lines
        if self._n_lines >= _AT_ONCE:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_S, self._on_time)

    def flush(self) -> None:
        """Hand over what was gathered; called too before the payload log is closed."""
        if self._lines is None:
            return
        lines, n_lines = self._lines, self._n_lines
        self._lines, self._n_lines = None, 0
        try:
            pieces = list(lines)
        except MemoryError:
            self._payload_log.lose(n_lines, DropReason.NO_MEMORY)
        else:
            self._payload_log.record(pieces, n_lines, sum(len(piece) for piece, _ in pieces))

    def _on_time(self) -> None:
        self._timer = None
        self.flush()
