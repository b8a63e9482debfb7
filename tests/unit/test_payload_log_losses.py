"""What the payload log loses is counted, told once, and costs no request and no other line."""

from __future__ import annotations

import io
import json
import logging
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.line_sink import LinesLost, Piece
from app.rotating_file import RotatingFile
from tests.unit.test_payload_log import Log, lines_of, names


class GatedSink(io.BytesIO):
    """Writes only while its gate is open; tells when a write has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.began = threading.Event()

    def write(self, lines: Any) -> int:
        self.began.set()
        assert self.gate.wait(20)
        return super().write(lines)


class FailingSink(io.BytesIO):
    """Raises `error` as long as there is one."""

    error: Exception | None = None

    def write(self, lines: Any) -> int:
        if self.error is not None:
            raise self.error
        return super().write(lines)


@pytest.fixture
def small_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand bytes, and lines of 100 are ten."""
    monkeypatch.setattr("app.payload_log.MAX_WAITING_BYTES", 1000)


@pytest.mark.usefixtures("small_queue")
def test_a_full_queue_drops_and_counts_and_never_blocks(caplog: pytest.LogCaptureFixture) -> None:
    """A slow disk costs lines, never requests; the log says so at the first loss, and how many at the end."""
    sink = GatedSink()
    own = Log(sink)
    own.log.start()
    own.record("writing", n_bytes=900)
    assert sink.began.wait(20)  # so that the queue is empty again
    taken = [own.record(name, n_lines, n_bytes=100) for name, n_lines in (("a", 6), ("b", 5), ("c", 4), ("d", 1))]
    assert taken == [True, False, True, False]
    assert own.n_dropped("queue_full") == 5 + 1
    sink.gate.set()
    assert own.log.close()
    assert names(sink) == ["writing", *"aaaaaa", *"cccc"]
    assert own.n_written == 11
    assert [record.getMessage() for record in caplog.records] == [
        "the payload log's queue is full, for its disk or reader is too slow; lines are lost",
        "6 lines of the payload log have been lost since the start: queue_full 6",
    ]


@pytest.mark.usefixtures("small_queue")
def test_a_batch_larger_than_the_queue_is_taken_when_nothing_waits() -> None:
    """It would never fit otherwise."""
    sink = GatedSink()
    own = Log(sink)
    own.log.start()
    own.record("writing")
    assert sink.began.wait(20)
    own.record("large", 20, n_bytes=100)
    own.record("next", n_bytes=100)
    sink.gate.set()
    assert own.log.close()
    assert (own.n_written, own.n_dropped("queue_full")) == (21, 1)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError()])
def test_a_failing_sink_costs_its_lines_and_is_told_once(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The writer goes on, and the log is not filled with the same message."""
    sink = FailingSink()
    sink.error = error
    own = Log(sink)
    with caplog.at_level(logging.ERROR):
        own.log.start()
        for _ in range(3):
            own.record("x", 2)
        assert own.log.close()
    assert (own.n_dropped("write_failed"), own.n_written) == (6, 0)
    assert [record.getMessage() for record in caplog.records] == [
        f"the payload log cannot be written ({error}); its lines are dropped and counted",
        "6 lines of the payload log have been lost since the start: write_failed 6",
    ]


def test_lines_that_cannot_be_made_are_counted_and_cost_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours, or no memory, in the writer's thread does not end it."""

    def pieces(error: Exception) -> Iterator[Piece]:
        yield lines_of("half", 2), 2
        raise error

    sink = io.BytesIO()
    own = Log(sink)
    own.log.start()
    own.log.record(pieces(ValueError("not plain")), 5, 100)
    own.log.record(pieces(MemoryError()), 6, 100)
    own.record("next")
    assert own.log.close()
    assert names(sink) == ["half"] * 4 + ["next"]
    assert (own.n_written, own.n_dropped("not_made"), own.n_dropped("no_memory")) == (5, 3, 4)
    assert "lines of the payload log could not be made" in caplog.text


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Callable[[int | None], None]]:
    """Let no file grow beyond so many bytes; None takes the limit away."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(n_bytes: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if n_bytes is None else n_bytes, hard))

    yield limit
    limit(None)


def test_a_disk_with_room_again_gets_whole_lines(tmp_path: Path, full_disk: Callable[[int | None], None]) -> None:
    """What the full disk cut spoils no line after it, and every line is counted on one side."""
    path = tmp_path / "payload.log"
    own = Log(sink := RotatingFile(path, 1 << 20, 1))
    own.log.start()
    full_disk(30_000)
    for i in range(3):
        own.record(f"early-{i}", 40, n_bytes=499)  # 20 KB each: the second is cut in the middle
    for _ in range(2000):
        if (own.n_written or 0) + (own.n_dropped("write_failed") or 0) == 120:
            break
        threading.Event().wait(0.005)
    full_disk(None)
    own.record("late", 3)
    assert own.log.close()
    sink.close()
    raw = path.read_text(encoding="utf-8").splitlines()
    whole = [line for line in raw if len(line) == 498 or "late" in line]
    assert len(whole) == len(raw) - 1 == own.n_written
    assert own.n_dropped("write_failed") == 123 - len(whole) > 40
    late = [line for line in raw if "late" in line]
    assert [json.loads(line)["http.request.id"] for line in late] == ["late"] * 3


def test_a_sink_that_hangs_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """After the time-out the rest is dropped and counted, and the sink is still the writer's."""
    sink = GatedSink()
    own = Log(sink)
    own.log.start()
    own.record("x")
    assert sink.began.wait(20)
    own.record("x", 4)
    assert own.log.close(timeout_s=0.01) is False
    assert own.n_dropped("closed") == 4
    assert "4 lines of the payload log have been lost since the start: closed 4" in caplog.text
    sink.gate.set()
    assert own.log.close()


def test_what_comes_after_the_end_is_counted_as_lost() -> None:
    """A request that outlives the drain does not vanish silently."""
    own = Log(io.BytesIO())
    own.log.start()
    assert own.log.close()
    own.record("x", 2)
    assert own.n_dropped("closed") == 2


def test_an_instance_whose_line_was_divided_counts_once() -> None:
    """However many of its lines are lost, and whatever texts it has; those that were written before are not lost."""
    parts = [b'{"a": 1, "treeserve.part": %d, "x": "\\"treeserve.part\\": 7"}\n' % part for part in range(11)]
    for n_written, n_lost in ((0, 2), (1, 1), (5, 1), (11, 1), (12, 0)):
        sink = FailingSink()
        data = b"".join(parts) + b'{"a": 2}\n'
        lost = b"".join([*parts, b'{"a": 2}\n'][n_written:])
        sink.error = LinesLost(OSError(28, "No space left on device"), lost)
        own = Log(sink)
        own.log.start()
        own.log.record([(data, 2)], 2, len(data))
        assert own.log.close()
        assert (own.n_dropped("write_failed"), own.n_written) == (n_lost, 2 - n_lost)
