"""
Requests whose lines of the payload log are written together.

Between two answers the code that writes lines leaves the processor's caches, and writing them after each answer takes
five times as long as writing many at a stretch.
"""

from __future__ import annotations

import asyncio

from app.payload_log import PayloadLog
from app.predictor import Predictor
from app.wire.exchange import Exchange

# So many take about a tenth of a millisecond, for which other requests wait.
_AT_ONCE = 64
_PAUSE_S = 0.02


class LineBatch:
    """Gathers the exchanges of small and plain requests, on the event loop's thread alone."""

    def __init__(self, payload_log: PayloadLog) -> None:
        self._payload_log = payload_log
        self._predictor: Predictor | None = None
        self._exchanges: list[Exchange] = []
        self._n_lines = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, predictor: Predictor, exchange: Exchange, n_lines: int) -> None:
        """
        Take one exchange; its lines are handed over in a fiftieth of a second at the latest.

        Parameters
        ----------
        predictor : Predictor
            Which answered.
        exchange : Exchange
            Of a plain body.
        n_lines : int
            The instances it has.
        """
        if predictor is not self._predictor:
            self.flush()
            self._predictor = predictor
        self._exchanges.append(exchange)
        self._n_lines += n_lines
        if len(self._exchanges) >= _AT_ONCE:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_S, self._on_time)

    def flush(self) -> None:
        """Hand over what was gathered; called too before the payload log is closed."""
        if self._predictor is None or not self._exchanges:
            return
        exchanges, n_lines = self._exchanges, self._n_lines
        self._exchanges, self._n_lines = [], 0
        try:
            lines = self._predictor.decoder.encode_plain_lines(self._predictor.log_members, exchanges)
        except MemoryError:
            self._payload_log.lose(n_lines)
        else:
            self._payload_log.record(lines, n_lines)

    def _on_time(self) -> None:
        self._timer = None
        self.flush()
