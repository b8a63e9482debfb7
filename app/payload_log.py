"""
The payload log: what was asked and what was answered, one ECS line an instance.

A request only hands its exchange over; a thread of its own turns it into lines and writes
them. What does not fit into the bounded queue, or cannot be written, is dropped and counted.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter, deque
from dataclasses import dataclass

from app.ecs import PREDICTION_DATASET, static_fields, timestamp
from app.line_sink import LinesLost, Sink
from app.metrics import DropReason, Metrics
from app.model_version import ModelVersion
from app.wire.decoder import Decoded, InstancesDecoder

log = logging.getLogger(__name__)

# What may wait to be written: lines, and the bytes of the bodies that they came in. A body is kept as it came; the
# instances of one that is not plain take several times its size beside it.
MAX_WAITING_LINES = 100_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
# How long lines wait at most before they are written, and so how many share one turn of the writer's thread: each turn
# takes the interpreter away from requests for a moment.
_PAUSE_S = 0.02
# What is written in one piece; a reader that comes back is not given a hundred megabytes at once.
_BYTES_A_WRITE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    One request and its answer.

    Attributes
    ----------
    request_id : str
    trace_id : str or None
    at_s : float
        When the request came, in seconds since the epoch.
    duration_ns : int
        From the body's last byte to the answer's first.
    version : ModelVersion
    decoder : InstancesDecoder
        Of the model version.
    decoded : Decoded
        By that decoder.
    predictions : str
        As `app.wire.answer.encode_predictions` writes them.
    """

    request_id: str
    trace_id: str | None
    at_s: float
    duration_ns: int
    version: ModelVersion
    decoder: InstancesDecoder
    decoded: Decoded
    predictions: str

    @property
    def n_lines(self) -> int:
        """How many instances it has."""
        return len(self.decoded.matrix)

    @property
    def n_bytes(self) -> int:
        """A measure of the memory that it takes."""
        return len(self.decoded.body)


class PayloadLog:
    """Writes exchanges to a sink from a thread of its own."""

    def __init__(self, sink: Sink | None, metrics: Metrics, max_waiting_lines: int = MAX_WAITING_LINES) -> None:
        """
        Make a log that is not running yet.

        Parameters
        ----------
        sink : Sink or None
            Where the lines go; None writes nothing and counts nothing.
        """
        self._sink = sink
        self._metrics = metrics
        self._max_waiting_lines = max_waiting_lines
        self._waiting: deque[Exchange] = deque()
        self._n_waiting_lines = 0
        self._n_waiting_bytes = 0
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._write_failed = False
        self._lost = Counter(dict.fromkeys(DropReason, 0))
        self._writer = threading.Thread(target=self._write_until_closed, name="payload-log", daemon=True)

    def start(self) -> None:
        """Start the writer."""
        if self._sink is not None:
            self._writer.start()

    def record(self, exchange: Exchange) -> None:
        """Hand an exchange over; never blocks and never fails."""
        if self._sink is None:
            return
        n_lines, n_bytes = exchange.n_lines, exchange.n_bytes
        with self._changing:
            if self._closing.is_set():
                self._drop(n_lines, DropReason.CLOSED)
                return
            # An exchange larger than the whole queue is taken when the queue is empty, or it never would be.
            if self._n_waiting_lines and (
                self._n_waiting_lines + n_lines > self._max_waiting_lines
                or self._n_waiting_bytes + n_bytes > MAX_WAITING_BYTES
            ):
                if not self._lost[DropReason.QUEUE_FULL]:
                    log.warning("the payload log's queue is full, for its disk or reader is too slow; lines are lost")
                self._drop(n_lines, DropReason.QUEUE_FULL)
                return
            self._waiting.append(exchange)
            self._n_waiting_lines += n_lines
            self._n_waiting_bytes += n_bytes

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
            self._drop(self._n_waiting_lines, DropReason.CLOSED)
            self._waiting.clear()
            self._n_waiting_lines = self._n_waiting_bytes = 0
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
        """Take exchanges from the queue until there is enough for one write."""
        assert self._sink is not None
        pieces: list[bytes] = []
        n_lines = n_bytes = 0
        while self._waiting and n_bytes < _BYTES_A_WRITE:
            with self._changing:
                if not self._waiting:  # the end has come, and thrown it away
                    break
                exchange = self._waiting.popleft()
                self._n_waiting_lines -= exchange.n_lines
                self._n_waiting_bytes -= exchange.n_bytes
            pieces.append(_encode(exchange))
            n_lines += exchange.n_lines
            n_bytes += len(pieces[-1])
        try:
            self._sink.write(b"".join(pieces))
        except OSError as error:  # a full disk, a reader that is gone
            n_lost = error.n_lines if isinstance(error, LinesLost) else n_lines
            self._drop(n_lost, DropReason.WRITE_FAILED)
            self._metrics.payload_written.inc(n_lines - n_lost)
            if not self._write_failed:
                log.error("the payload log cannot be written (%s); its lines are dropped and counted", error)
            self._write_failed = True
            return
        self._metrics.payload_written.inc(n_lines)
        self._write_failed = False

    def _drop(self, n_lines: int, reason: DropReason) -> None:
        self._lost[reason] += n_lines  # a reason is counted by one thread at a time: under the lock, or by the writer
        self._metrics.payload_dropped.labels(reason).inc(n_lines)


def _encode(exchange: Exchange) -> bytes:
    version = exchange.version
    fields = {
        "@timestamp": timestamp(exchange.at_s),
        **static_fields("info", "prediction", "treeserve.prediction"),
        "event.dataset": PREDICTION_DATASET,
        "event.duration": exchange.duration_ns,
        "http.request.id": exchange.request_id,
        "treeserve.model.name": version.name,
        "treeserve.model.version": version.version,
    }
    optional = {
        "trace.id": exchange.trace_id,
        "treeserve.model.alias": version.alias,
        "treeserve.model.run_id": version.run_id,
    }
    fields.update((name, value) for name, value in optional.items() if value is not None)
    head = json.dumps(fields)[:-1] + ", "
    return exchange.decoder.encode_lines(exchange.decoded, head, exchange.predictions)
