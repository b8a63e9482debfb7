"""
The payload log: what was asked and what was answered, one ECS line an instance.

A request only hands its exchange over; a thread of its own turns it into lines and writes
them. What does not fit into the bounded queue, or cannot be written, is dropped and counted.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.ecs import PREDICTION_DATASET, EcsFormatter
from app.line_sink import Sink
from app.metrics import DropReason, Metrics
from app.model_version import ModelVersion
from app.signature import FeatureType, Signature

log = logging.getLogger(__name__)

# What may wait to be written: lines, and the bytes of the bodies that they came in. In memory, instances take
# several times their JSON.
MAX_WAITING_LINES = 20_000
MAX_WAITING_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
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
    signature : Signature
    instances : sequence of mapping
        As the caller sent them.
    predictions : sequence of float, or of sequences of float
    unknown : mapping of int to list of str
        The features of an instance whose category the model does not know.
    n_bytes : int
        Length of the request's body, as a measure of the memory that its instances take.
    """

    request_id: str
    trace_id: str | None
    at_s: float
    duration_ns: int
    version: ModelVersion
    signature: Signature
    instances: Sequence[Mapping[str, Any]]
    predictions: Sequence[float] | Sequence[Sequence[float]]
    unknown: Mapping[int, list[str]]
    n_bytes: int


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
        self._formatter = EcsFormatter()
        self._waiting: deque[Exchange] = deque()
        self._n_waiting_lines = 0
        self._n_waiting_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
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
        n_lines = len(exchange.instances)
        with self._changed:
            if self._closing:
                self._drop(n_lines, DropReason.CLOSED)
                return
            # An exchange larger than the whole queue is taken when the queue is empty, or it never would be.
            if self._n_waiting_lines and (
                self._n_waiting_lines + n_lines > self._max_waiting_lines
                or self._n_waiting_bytes + exchange.n_bytes > MAX_WAITING_BYTES
            ):
                if not self._lost[DropReason.QUEUE_FULL]:
                    log.warning("the payload log's queue is full, for its disk or reader is too slow; lines are lost")
                self._drop(n_lines, DropReason.QUEUE_FULL)
                return
            self._waiting.append(exchange)
            self._n_waiting_lines += n_lines
            self._n_waiting_bytes += exchange.n_bytes
            self._changed.notify()

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
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._writer.join(timeout_s)
        with self._changed:
            self._drop(self._n_waiting_lines, DropReason.CLOSED)
            self._waiting.clear()
            self._n_waiting_lines = self._n_waiting_bytes = 0
        if n_lost := self._lost.total():
            reasons = ", ".join(f"{reason} {n_lines}" for reason, n_lines in self._lost.items() if n_lines)
            log.error("%d lines of the payload log have been lost since the start: %s", n_lost, reasons)
        return not self._writer.is_alive()

    def _write_until_closed(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                exchange = self._waiting.popleft()
                self._n_waiting_lines -= len(exchange.instances)
                self._n_waiting_bytes -= exchange.n_bytes
            self._write(exchange)

    def _write(self, exchange: Exchange) -> None:
        assert self._sink is not None
        n_lines = len(exchange.instances)
        try:
            self._sink.write("".join(self._lines(exchange)))
        except OSError as error:  # a full disk, a reader that is gone
            self._drop(n_lines, DropReason.WRITE_FAILED)
            if not self._write_failed:
                log.error("the payload log cannot be written (%s); its lines are dropped and counted", error)
            self._write_failed = True
            return
        self._metrics.payload_written.inc(n_lines)
        self._write_failed = False

    def _drop(self, n_lines: int, reason: DropReason) -> None:
        self._lost[reason] += n_lines  # a reason is counted by one thread at a time: under the lock, or by the writer
        self._metrics.payload_dropped.labels(reason).inc(n_lines)

    def _lines(self, exchange: Exchange) -> list[str]:
        version = exchange.version
        common: dict[str, Any] = {
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
        common.update((name, value) for name, value in optional.items() if value is not None)
        kinds = {feature.name: feature.type for feature in exchange.signature.features}
        lines = []
        for index, (instance, prediction) in enumerate(zip(exchange.instances, exchange.predictions, strict=True)):
            fields = common | _instance_fields(index, instance, prediction, kinds)
            if index in exchange.unknown:
                fields["treeserve.features.unknown"] = exchange.unknown[index]
            lines.append(self._line(exchange, fields))
        return lines

    def _line(self, exchange: Exchange, fields: dict[str, Any]) -> str:
        record = logging.LogRecord("treeserve.prediction", logging.INFO, "", 0, "prediction", None, None)
        record.created = exchange.at_s
        record.ecs = fields
        return self._formatter.format(record) + "\n"


def _instance_fields(
    index: int, instance: Mapping[str, Any], prediction: object, kinds: Mapping[str, FeatureType]
) -> dict[str, Any]:
    numbers: dict[str, float] = {}
    categories: dict[str, str] = {}
    for name, value in instance.items():
        if value is None:
            continue
        if kinds[name] is FeatureType.CATEGORY:
            # 10 and 10.0 are one category to the codec, and so in the log.
            categories[name] = str(int(value) if isinstance(value, float) else value)
        else:
            numbers[name] = float(value)
    return {
        "treeserve.request.instance": index,
        "treeserve.features.number": numbers,
        "treeserve.features.category": categories,
        "treeserve.prediction": prediction,
    }
