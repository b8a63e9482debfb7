"""Service events reach the log in order and in one format, and nobody who logs ever waits for it."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
import warnings
from typing import Any

import pytest

from app import service_log
from app.service_log import QueuedHandler, configure_logging
from tests.services import wait


class HeldSink(io.BytesIO):
    """Writes once its gate is open; raises `error` as long as there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.began = threading.Event()
        self.error: OSError | None = None

    def write(self, text: Any) -> int:
        self.began.set()
        assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return super().write(text)


def lines(sink: io.BytesIO) -> list[dict[str, Any]]:
    """What has been written."""
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def log(handler: logging.Handler, *messages: object) -> None:
    """Log some messages to one handler."""
    for message in messages:
        handler.handle(logging.LogRecord("x", logging.INFO, "", 0, message, None, None))


@pytest.mark.usefixtures("own_logging")
def test_every_library_and_every_warning_goes_the_same_way() -> None:
    """One format on the stream, whoever writes, in the order of writing."""
    sink = io.BytesIO()
    handler = configure_logging(sink)
    logging.getLogger("uvicorn.error").info("one")
    logging.getLogger("app").debug("not this one")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("two", stacklevel=1)
    handler.close()
    assert [(one["log.logger"], one["log.level"]) for one in lines(sink)] == [
        ("uvicorn.error", "info"),
        ("py.warnings", "warning"),
    ]
    assert "two" in lines(sink)[1]["message"]


@pytest.mark.usefixtures("own_logging")
def test_configuring_twice_writes_no_line_twice() -> None:
    """The second stream takes over."""
    first, second = io.BytesIO(), io.BytesIO()
    configure_logging(first)
    handler = configure_logging(second)
    logging.getLogger("x").info("one")
    handler.close()
    assert (first.getvalue(), len(lines(second))) == (b"", 1)


def test_closing_writes_what_waits_and_may_be_repeated() -> None:
    """The last words of a process that ends are often the ones that matter."""
    sink = io.BytesIO()
    handler = QueuedHandler(sink)
    log(handler, *range(500))
    handler.close()
    handler.close()
    assert [line["message"] for line in lines(sink)] == [str(n) for n in range(500)]


def test_what_is_logged_while_nobody_reads_is_lost_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who logs waits; the count of what is lost stands in the log as soon as it is read again."""
    monkeypatch.setattr(service_log, "_MAX_WAITING", 3)
    sink = HeldSink()
    handler = QueuedHandler(sink)
    log(handler, "writing")
    assert sink.began.wait(20)
    log(handler, *"abcdefg")
    sink.gate.set()
    handler.close()
    told = [line["message"] for line in lines(sink)]
    assert [text for text in told if "lost" not in text] == ["writing", "a", "b", "c"]
    assert [text.partition(" of ")[0] for text in told if "lost" in text] == ["4 lines"]


def test_what_a_full_disk_refused_is_said_when_there_is_room() -> None:
    """Once, with the number of them all."""
    sink = HeldSink()
    sink.error = OSError(28, "No space left on device")
    sink.gate.set()
    handler = QueuedHandler(sink)
    log(handler, "a", "b")
    for _ in wait():
        if handler._n_unwritten == 2:
            break
    sink.error = None
    log(handler, "c", "d")
    handler.close()
    assert [line["message"].partition(" of ")[0] for line in lines(sink)] == ["c", "2 lines", "d"]


def test_what_was_lost_last_is_said_at_the_end() -> None:
    """There may be no next event to say it behind."""
    sink = HeldSink()
    sink.error = OSError(28, "No space left on device")
    sink.gate.set()
    handler = QueuedHandler(sink)
    log(handler, "a")
    for _ in wait():
        if handler._n_unwritten:
            break
    sink.error = None
    handler.close()
    assert [line["message"].partition(" of ")[0] for line in lines(sink)] == ["1 lines"]


def test_a_sink_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends all the same."""
    monkeypatch.setattr(service_log, "_CLOSES_WITHIN_S", 0.05)
    sink = HeldSink()
    handler = QueuedHandler(sink)
    log(handler, "a")
    began = time.monotonic()
    handler.close()
    assert time.monotonic() - began < 5
    assert lines(sink) == []
    sink.gate.set()


def test_a_record_that_cannot_be_formatted_costs_nobody_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python's own handlers print it and go on; so does this one."""
    sink = io.BytesIO()
    handler = QueuedHandler(sink)
    handler.handle(logging.LogRecord("x", logging.INFO, "", 0, "%d", ("no number",), None))
    log(handler, "next")
    handler.close()
    assert "no number" in capsys.readouterr().err
    assert [line["message"] for line in lines(sink)] == ["next"]
