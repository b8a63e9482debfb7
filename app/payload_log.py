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
from collections.abc import Iterable, Iterator

from app.cores import go_last
from app.line_sink import LinesLost, Piece, Sink
from app.metrics import DropReason, Metrics
from app.wire.log_lines import count_instances

log = logging.getLogger(__name__)

# What may wait to be written: the bodies of some 150,000 instances with 20 features, and what was answered.
MAX_WAITING_BYTES = 64 * 1024 * 1024
# How long lines wait at most before they are written. Each time the writer takes the interpreter away from requests
# for a moment, so it does not come for every line.
_PAUSE_S = 0.02
# What is written in one piece; a reader that comes back is not given everything at once.
_BYTES_A_WRITE = 256 * 1024
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
        self._waiting: deque[tuple[Iterable[Piece], int, int]] = deque()
        self._n_waiting_bytes = 0
        self._changing = threading.Lock()
        self._is_closing = False
        self._wake = threading.Event()  # before the pause is over
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

    def record(self, lines: Iterable[Piece], n_instances: int, n_bytes: int, *, or_refuse: bool = False) -> bool:
        """
        Hand lines over; never blocks and never fails.

        Parameters
        ----------
        lines : iterable of Piece
            Perhaps made only when the writer asks for them.
        n_instances : int
        n_bytes : int
            What they, or what they are made from, keep in memory until then.
        or_refuse : bool
            Whether they are not lost where there is no room, for whoever sent them is told.

        Returns
        -------
        bool
            Whether they are wanted, and there is room for them.
        """
        if not self.is_on:
            return False
        with self._changing:
            is_full = self._n_waiting_bytes and self._n_waiting_bytes + n_bytes > MAX_WAITING_BYTES
            if or_refuse and (self._is_closing or is_full):
                return False
            if self._is_closing:
                self._drop(n_instances, DropReason.CLOSED)
            # Lines larger than the whole queue are taken when the queue is empty, or they never would be.
            elif is_full:
                if not self._lost[DropReason.QUEUE_FULL]:
                    log.warning("the payload log's queue is full, for its disk or reader is too slow; lines are lost")
                self._drop(n_instances, DropReason.QUEUE_FULL)
            else:
                self._waiting.append((lines, n_instances, n_bytes))
                self._n_waiting_bytes += n_bytes
                if self._n_waiting_bytes >= _BYTES_A_WRITE:
                    self._wake.set()
                return True
        return False

    def lose(self, n_instances: int, reason: DropReason) -> None:
        """Count lines that were not made."""
        with self._changing:
            self._drop(n_instances, reason)

    def close(self, timeout_s: float = 5.0) -> bool:
        """
        Write what is waiting and end the writer; what is left after `timeout_s` is dropped and counted.

        Returns
        -------
        bool
            Whether the writer has ended, so that the sink may be closed.
        """
        self._is_closing = True
        self._wake.set()
        if self._writer.is_alive():
            self._writer.join(timeout_s)
        with self._changing:
            self._drop(sum(n_instances for _, n_instances, _ in self._waiting), DropReason.CLOSED)
            self._waiting.clear()
            self._n_waiting_bytes = 0
        if n_lost := self._lost.total():
            reasons = ", ".join(f"{reason} {n_instances}" for reason, n_instances in self._lost.items() if n_instances)
            log.error("%d lines of the payload log have been lost since the start: %s", n_lost, reasons)
        return not self._writer.is_alive()

    def _write_until_closed(self) -> None:
        go_last()
        while True:
            # Asked before the queue is emptied: what came before the end is written.
            self._wake.wait(_PAUSE_S)
            self._wake.clear()
            is_closing = self._is_closing
            pieces: list[Piece] = []
            n_bytes = 0
            for piece in self._take_pieces():
                pieces.append(piece)
                n_bytes += len(piece[0])
                if n_bytes >= _BYTES_A_WRITE:
                    self._write(pieces)
                    pieces, n_bytes = [], 0
            if pieces:
                self._write(pieces)
            if is_closing:
                return

    def _take_pieces(self) -> Iterator[Piece]:
        """The pieces of all that waits, each taken from the queue when its first piece is made."""
        while True:
            with self._changing:
                if not self._waiting:
                    return
                lines, n_left, n_bytes = self._waiting.popleft()
                self._n_waiting_bytes -= n_bytes
            try:
                for piece in lines:
                    n_left -= piece[1]
                    yield piece
            except MemoryError:
                self.lose(n_left, DropReason.NO_MEMORY)
            except Exception:  # a fault of ours, which must not end the writer
                log.exception("lines of the payload log could not be made; they are lost")
                self.lose(n_left, DropReason.NOT_MADE)

    def _write(self, pieces: list[Piece]) -> None:
        assert self._sink is not None
        n_instances = sum(n for _, n in pieces)
        n_lost = 0
        try:
            self._sink.write(b"".join([lines for lines, _ in pieces]))
        except (OSError, ValueError) as error:  # a full disk, a reader that is gone, a descriptor beyond select's
            n_lost = count_instances(error.lost) if isinstance(error, LinesLost) else n_instances
            self._drop(n_lost, DropReason.WRITE_FAILED)
            if not self._write_failed:
                log.error("the payload log cannot be written (%s); its lines are dropped and counted", error)
        except MemoryError:
            self.lose(n_instances, DropReason.NO_MEMORY)
            return
        self._write_failed = n_lost > 0
        self._metrics.payload_written.inc(n_instances - n_lost)

    def _drop(self, n_instances: int, reason: DropReason) -> None:
        # A reason is counted by one thread at a time: under the lock, or by the writer.
        self._lost[reason] += n_instances
        self._metrics.payload_dropped.labels(reason).inc(n_instances)
