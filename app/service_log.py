"""The service's own events: every library's log records as ECS lines, written by a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading

from app.ecs import EcsFormatter
from app.line_sink import Sink

_MAX_WAITING = 10_000
_CLOSES_WITHIN_S = 2.0


class QueuedHandler(logging.Handler):
    """
    Hands lines to a thread that may wait for the sink, so that nobody who logs does.

    The standard library's `QueueHandler` and `QueueListener` wait for ever at the end, and their queue's lock
    cannot be taken twice by one thread, as a warning from a finalizer would.
    """

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self.setFormatter(EcsFormatter())
        self._sink = sink
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._n_refused = 0  # counted by those who log, and the next one by the writer
        self._n_unwritten = 0
        self._n_told = 0
        self._is_closed = False
        self._writer = threading.Thread(target=self._write_until_closed, name="service-log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one event; where too many wait, it is counted instead."""
        try:
            line = self.format(record)
        except Exception:  # as every handler does: a record that cannot be formatted is its caller's fault
            self.handleError(record)
            return
        if self._waiting.qsize() < _MAX_WAITING:
            self._waiting.put(line)
        else:
            self._n_refused += 1

    def close(self) -> None:
        """Write what waits, for at most two seconds."""
        if not self._is_closed:
            self._is_closed = True
            self._waiting.put(None)
            self._writer.join(_CLOSES_WITHIN_S)
        super().close()

    def _write_until_closed(self) -> None:
        for line in iter(self._waiting.get, None):
            if self._write(line):
                self._tell_loss()
            else:
                self._n_unwritten += 1
        self._tell_loss()

    def _tell_loss(self) -> None:
        n_lost = self._n_refused + self._n_unwritten
        if n_lost > self._n_told and self._write(self.format(_loss(n_lost))):
            self._n_told = n_lost

    def _write(self, line: str) -> bool:
        try:
            self._sink.write(f"{line}\n".encode())
        except OSError:  # a full disk, a reader that is gone: there is nowhere to say it
            return False
        return True


def _loss(n_lost: int) -> logging.LogRecord:
    text = "%d lines of this log have been lost since the start: its reader was too slow, or the disk full"
    return logging.LogRecord(__name__, logging.WARNING, "", 0, text, (n_lost,), None)


def configure_logging(sink: Sink, level: int = logging.INFO) -> logging.Handler:
    """
    Send every library's and our own service events to `sink` as ECS lines.

    Called by the command line alone: an application that embeds treeserve keeps its own logging.
    """
    handler = QueuedHandler(sink)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    return handler
