"""The payload log writes lines in their order, and all before the end."""

from __future__ import annotations

import io
import json

from prometheus_client import CollectorRegistry

from app.line_sink import Sink
from app.metrics import Metrics
from app.payload_log import PayloadLog


def lines_of(name: str, n_lines: int = 1, n_bytes: int = 0) -> bytes:
    """Lines as a request has them, of `n_bytes` each at least."""
    line = json.dumps({"http.request.id": name})
    return f"{line.ljust(n_bytes - 1)}\n".encode() * n_lines


class Log:
    """A payload log with its own metrics, as a test looks at it."""

    def __init__(self, sink: Sink | None) -> None:
        self.collectors = CollectorRegistry()
        self.log = PayloadLog(sink, Metrics(self.collectors))

    @property
    def n_written(self) -> float | None:
        return self.collectors.get_sample_value("treeserve_payload_written_total")

    def n_dropped(self, reason: str) -> float | None:
        return self.collectors.get_sample_value("treeserve_payload_dropped_total", {"reason": reason})

    def record(self, name: str, n_lines: int = 1, n_bytes: int = 0) -> bool:
        """Hand over what a request has; whether it is taken."""
        lines = lines_of(name, n_lines, n_bytes)
        return self.log.record([(lines, n_lines)], n_lines, len(lines))


def names(sink: io.BytesIO) -> list[str]:
    """What has been written."""
    return [json.loads(line)["http.request.id"] for line in sink.getvalue().splitlines()]


def test_lines_are_written_in_the_order_of_their_coming_and_all_before_the_end() -> None:
    """Closing waits for what is waiting."""
    sink = io.BytesIO()
    own = Log(sink)
    own.log.start()
    for i in range(200):
        own.record(str(i), n_lines=2)
    assert own.log.close()
    assert names(sink) == [str(i) for i in range(200) for _ in range(2)]
    assert own.n_written == 400


def test_without_a_sink_nothing_is_written_and_nothing_counted() -> None:
    """`off` means off."""
    own = Log(None)
    own.log.start()
    assert not own.log.is_on
    own.record("x")
    assert own.log.close()
    assert own.n_written == 0


def test_a_log_that_never_started_can_be_closed() -> None:
    """A start that fails early ends as cleanly as any."""
    assert Log(io.BytesIO()).log.close()
