"""How spans leave the process: in batches, from the SDK's thread, to a collector that may be away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app.cores import give_way, go_last

log = logging.getLogger(__name__)

_EXPORTERS_LOG = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")


class _Unhurried(tuple[ReadableSpan, ...]):
    """
    Spans that let other threads have the interpreter in between.

    On one core, while spans were encoded without it, a tenth of the event loop's timers came 6 to 9 ms late; with
    it, 0.2 ms.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[ReadableSpan]:
        for span in super().__iter__():
            give_way()
            yield span


class _ToldExporter(SpanExporter):
    """
    Sends by OTLP, and tells once when the collector does not take spans and once when it does again.

    Attributes
    ----------
    is_in_trouble : bool
        Whether it does not.
    n_sent : int
        Spans that it has taken.
    """

    def __init__(self) -> None:
        self.is_in_trouble = False
        self.n_sent = 0
        self._exporter = OTLPSpanExporter()
        self._is_first = True
        # It tells the same several times for each batch.
        _EXPORTERS_LOG.addFilter(self._tell_once)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; called by the SDK's thread alone."""
        if self._is_first:
            self._is_first = False
            go_last()
        result = self._exporter.export(_Unhurried(spans))
        if result is SpanExportResult.SUCCESS:
            self.n_sent += len(spans)
            if self.is_in_trouble:
                self.is_in_trouble = False
                log.info("the collector takes spans again")
        return result

    def shutdown(self) -> None:
        """Send no more, and try nothing again."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Say no more either."""
        _EXPORTERS_LOG.removeFilter(self._tell_once)

    def _tell_once(self, record: logging.LogRecord) -> bool:
        if not self.is_in_trouble:
            self.is_in_trouble = True
            log.warning("spans are not taken by the collector: %s", record.getMessage())
        return False


class SpanQueue(BatchSpanProcessor):
    """
    Keeps spans until a thread has sent them; where it is full, the oldest are lost.

    Its size and pace are in the SDK's variables, ``OTEL_BSP_*``.
    """

    def __init__(self) -> None:
        self._exporter = _ToldExporter()
        self._n_taken = 0
        try:
            super().__init__(self._exporter)
        except ValueError:  # of its variables
            self._exporter.close()
            raise

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span; on the event loop's thread alone."""
        self._n_taken += 1
        super().on_end(span)

    def close(self, timeout_s: float) -> None:
        """Send what waits, for so long at most, and tell what was lost; a collector that is away is not waited for."""
        if self._exporter.is_in_trouble:
            self._exporter.shutdown()
        # The SDK waits for half a minute.
        ending = threading.Thread(target=self.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(timeout_s)
        self._exporter.close()
        if n_lost := self._n_taken - self._exporter.n_sent:
            log.warning("%d of %d spans have been lost since the start", n_lost, self._n_taken)
