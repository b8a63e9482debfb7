"""
The payload log: what was asked and what was answered, one ECS line an instance.

Whoever answers hands the lines over; a thread of its own writes them. What does not fit into the bounded queue, or
cannot be written, is dropped and counted.
"""

from __future__ import annotations

import logging
import math
import threading
import zlib
from collections import Counter, deque

from app.line_sink import LinesLost, Sink
from app.metrics import DropReason, Metrics

log = logging.getLogger(__name__)

# What may wait to be written: some 70,000 lines of a model with 20 features.
MAX_WAITING_BYTES = 64 * 1024 * 1024
# How long lines wait at most before they are written. Each time the writer takes the interpreter away from requests
# for a moment, so it does not come for every line.
_PAUSE_S = 0.02
# What is written in one piece; a reader that comes back is not given everything at once.
_BYTES_A_WRITE = 1024 * 1024
_N_CHECKSUMS = 1 << 32


class PayloadLog:
    """
    Writes lines to a sink from a thread of its own.

    Attributes
    ----------
    is_on : bool
        Whether lines are wanted at all.
    """

    def __init__(self, sink: Sink | None, metrics: Metrics, sample_rate: float = 1.0) -> None:
        """
        Make a log that is not running yet.

        Parameters
        ----------
        sink : Sink or None
            Where the lines go; None writes nothing and counts nothing.
        sample_rate : float
            Share of the requests whose lines are wanted, 0 to 1.
        """
        self.is_on = sink is not None
        self._first_unwanted = math.ceil(sample_rate * _N_CHECKSUMS)
        self._sink = sink
        self._metrics = metrics
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._n_waiting_bytes = 0
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._write_failed = False
        self._lost = Counter(dict.fromkeys(DropReason, 0))
        self._writer = threading.Thread(target=self._write_until_closed, name="payload-log", daemon=True)

    def start(self) -> None:
        """Start the writer."""
        if self.is_on:
            self._writer.start()

    def wants(self, request_id: str) -> bool:
        """Whether a request's lines are to be recorded; for one id the answer is the same everywhere."""
        return self.is_on and (
            self._first_unwanted == _N_CHECKSUMS or zlib.crc32(request_id.encode()) < self._first_unwanted
        )

    def record(self, lines: bytes, n_lines: int) -> None:
        """Hand lines over; never blocks and never fails."""
        if not self.is_on:
            return
        with self._changing:
            if self._closing.is_set():
                self._drop(n_lines, DropReason.CLOSED)
            # Lines larger than the whole queue are taken when the queue is empty, or they never would be.
            elif self._n_waiting_bytes and self._n_waiting_bytes + len(lines) > MAX_WAITING_BYTES:
                if not self._lost[DropReason.QUEUE_FULL]:
                    log.warning("the payload log's queue is full, for its disk or reader is too slow; lines are lost")
                self._drop(n_lines, DropReason.QUEUE_FULL)
            else:
                self._waiting.append((lines, n_lines))
                self._n_waiting_bytes += len(lines)

    def lose(self, n_lines: int) -> None:
        """Count lines for which there was no memory."""
        with self._changing:
            self._drop(n_lines, DropReason.NO_MEMORY)

    def close(self, timeout_s: float = 5.0) -> bool:
        """
        Write what is waiting and end the writer; what is left after `timeout_s` is dropped and counted.

        Returns
        -------
        bool
            Whether the writer has ended, so that the sink may be closed.
        """
        if not self._writer.is_alive():
            return True
        self._closing.set()
        self._writer.join(timeout_s)
        with self._changing:
            self._drop(sum(n_lines for _, n_lines in self._waiting), DropReason.CLOSED)
            self._waiting.clear()
            self._n_waiting_bytes = 0
        if n_lost := self._lost.total():
            reasons = ", ".join(f"{reason} {n_lines}" for reason, n_lines in self._lost.items() if n_lines)
            log.error("%d lines of the payload log have been lost since the start: %s", n_lost, reasons)
        return not self._writer.is_alive()

    def _write_until_closed(self) -> None:
        while True:
            # Asked before the queue is emptied: what came before the end is written.
            is_closing = self._closing.wait(_PAUSE_S)
            while self._waiting:
                self._write_some()
            if is_closing:
                return

    def _write_some(self) -> None:
        """Take lines from the queue until there are enough for one write."""
        assert self._sink is not None
        pieces: list[bytes] = []
        n_lines = n_bytes = 0
        with self._changing:
            while self._waiting and n_bytes < _BYTES_A_WRITE:
                piece, n_more = self._waiting.popleft()
                pieces.append(piece)
                n_lines += n_more
                n_bytes += len(piece)
            self._n_waiting_bytes -= n_bytes
        n_lost = 0
        try:
            self._sink.write(b"".join(pieces))
        except OSError as error:  # a full disk, a reader that is gone
            n_lost = error.n_lines if isinstance(error, LinesLost) else n_lines
            self._drop(n_lost, DropReason.WRITE_FAILED)
            if not self._write_failed:
                log.error("the payload log cannot be written (%s); its lines are dropped and counted", error)
        self._write_failed = n_lost > 0
        self._metrics.payload_written.inc(n_lines - n_lost)

    def _drop(self, n_lines: int, reason: DropReason) -> None:
        self._lost[reason] += n_lines  # a reason is counted by one thread at a time: under the lock, or by the writer
        self._metrics.payload_dropped.labels(reason).inc(n_lines)
