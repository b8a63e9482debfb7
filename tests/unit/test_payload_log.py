"""The payload log never blocks and never fails a request; what it loses is counted."""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
from prometheus_client import CollectorRegistry

from app.metrics import Metrics
from app.model_version import ModelVersion
from app.payload_log import Exchange, PayloadLog, open_sink
from app.signature import Feature, FeatureType, Signature

SIGNATURE = Signature(
    (
        Feature("carrier", FeatureType.CATEGORY, categories=("AA", "DL")),
        Feature("gate", FeatureType.CATEGORY, categories=(10, 20)),
        Feature("Größe", FeatureType.LONG),
        Feature("is_late", FeatureType.BOOLEAN),
    )
)
VERSION = ModelVersion("flight-delay", "7", "champion", "a" * 32, "/x", is_immutable=True)


def exchange(request_id: str = "r", n_rows: int = 1, **changes: Any) -> Exchange:
    """A request of `n_rows` equal instances, and its answer."""
    fields: dict[str, Any] = {
        "request_id": request_id,
        "trace_id": None,
        "at_s": 1_700_000_000.25,
        "duration_ns": 1_500_000,
        "version": VERSION,
        "signature": SIGNATURE,
        "instances": [{"carrier": "AA"}] * n_rows,
        "predictions": [0.25] * n_rows,
        "unknown": {},
    }
    return Exchange(**fields | changes)


class GatedSink(io.StringIO):
    """Writes only while its gate is open; tells when a write has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.began = threading.Event()

    def write(self, text: str) -> int:
        self.began.set()
        assert self.gate.wait(20)
        return super().write(text)


class FailingSink(io.StringIO):
    """Raises `error` as long as there is one."""

    error: Exception | None = None

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


class Log:
    """A payload log with its own metrics, as a test looks at it."""

    def __init__(self, sink: TextIO | None, **more: Any) -> None:
        self.collectors = CollectorRegistry()
        self.log = PayloadLog(sink, Metrics(self.collectors), **more)

    @property
    def n_written(self) -> float | None:
        return self.collectors.get_sample_value("treeserve_payload_written_total")

    def n_dropped(self, reason: str) -> float | None:
        return self.collectors.get_sample_value("treeserve_payload_dropped_total", {"reason": reason})


def lines(sink: io.StringIO) -> list[dict[str, Any]]:
    """What has been written."""
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def written(*exchanges: Exchange) -> list[dict[str, Any]]:
    """The lines of exchanges."""
    sink = io.StringIO()
    own = Log(sink)
    own.log.start()
    for one in exchanges:
        own.log.record(one)
    assert own.log.close()
    assert own.n_written == len(lines(sink))
    return lines(sink)


def test_an_instance_is_one_line_with_all_that_identifies_it() -> None:
    """Request, trace, model version and run: every prediction can be traced back."""
    instance = {"carrier": "AA", "gate": 20, "Größe": 7, "is_late": True}
    [line] = written(exchange(trace_id="b" * 32, instances=[instance], predictions=[0.25]))
    assert line["@timestamp"] == "2023-11-14T22:13:20.250000Z"
    assert line["event.dataset"] == "treeserve.prediction"
    assert (line["event.duration"], line["http.request.id"], line["trace.id"]) == (1_500_000, "r", "b" * 32)
    model = {name.rpartition(".")[2]: value for name, value in line.items() if name.startswith("treeserve.model.")}
    assert model == {"name": "flight-delay", "version": "7", "alias": "champion", "run_id": "a" * 32}
    assert line["treeserve.features.category"] == {"carrier": "AA", "gate": "20"}
    assert line["treeserve.features.number"] == {"Größe": 7.0, "is_late": 1.0}
    assert (line["treeserve.request.instance"], line["treeserve.prediction"]) == (0, 0.25)


def test_what_is_not_there_is_left_out() -> None:
    """No trace, alias or run, a missing value, no unknown category: no field, rather than null."""
    version = ModelVersion("x", "1", None, None, "/x", is_immutable=False)
    [line] = written(exchange(version=version, instances=[{"carrier": None}]))
    absent = {"trace.id", "treeserve.model.alias", "treeserve.model.run_id", "treeserve.features.unknown"}
    assert not absent & set(line)
    assert (line["treeserve.features.category"], line["treeserve.features.number"]) == ({}, {})


def test_each_instance_has_its_number_its_prediction_and_its_unknown_categories() -> None:
    """A batch is a line each, in order; classes stay together."""
    read = written(exchange(n_rows=3, predictions=[[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]], unknown={1: ["carrier"]}))
    assert [line["treeserve.request.instance"] for line in read] == [0, 1, 2]
    assert [line["treeserve.prediction"][0] for line in read] == [0.1, 0.2, 0.3]
    assert [line.get("treeserve.features.unknown") for line in read] == [None, ["carrier"], None]


def test_exchanges_are_written_in_the_order_of_their_coming_and_all_before_the_end() -> None:
    """Closing waits for what is waiting."""
    read = written(*[exchange(str(i), n_rows=2) for i in range(200)])
    assert [line["http.request.id"] for line in read] == [str(i) for i in range(200) for _ in range(2)]


def test_a_full_queue_drops_and_counts_and_never_blocks() -> None:
    """A slow disk costs lines, never requests."""
    sink = GatedSink()
    own = Log(sink, max_waiting_lines=5)
    own.log.start()
    own.log.record(exchange("writing"))
    assert sink.began.wait(20)  # so that the queue is empty again
    for name, n_rows in (("a", 3), ("b", 3), ("c", 2), ("d", 1)):
        own.log.record(exchange(name, n_rows))
    assert own.n_dropped("queue_full") == 3 + 1
    sink.gate.set()
    assert own.log.close()
    assert [line["http.request.id"] for line in lines(sink)] == ["writing", *"aaa", *"cc"]
    assert own.n_written == 6


def test_a_batch_larger_than_the_queue_is_taken_when_nothing_waits() -> None:
    """It would never fit otherwise."""
    sink = GatedSink()
    own = Log(sink, max_waiting_lines=2)
    own.log.start()
    own.log.record(exchange("writing"))
    assert sink.began.wait(20)
    own.log.record(exchange("large", 10))
    own.log.record(exchange("next"))
    sink.gate.set()
    assert own.log.close()
    assert (own.n_written, own.n_dropped("queue_full")) == (11, 1)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), BrokenPipeError(), ValueError("closed file")]
)
def test_a_failing_sink_costs_its_lines_and_is_told_once(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The writer goes on, and the log is not filled with the same message."""
    sink = FailingSink()
    sink.error = error
    own = Log(sink)
    with caplog.at_level(logging.ERROR):
        own.log.start()
        for _ in range(3):
            own.log.record(exchange(n_rows=2))
        assert own.log.close()
    assert (own.n_dropped("write_failed"), own.n_written) == (6, 0)
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text


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
    own = Log(sink := open_sink(str(path)))
    assert sink is not None
    own.log.start()
    full_disk(30_000)
    for i in range(3):
        own.log.record(exchange(f"early-{i}", n_rows=40))  # some 20 KB each: the second is cut in the middle
    for _ in range(2000):
        if (own.n_written or 0) + (own.n_dropped("write_failed") or 0) == 120:
            break
        threading.Event().wait(0.005)
    full_disk(None)
    own.log.record(exchange("late", n_rows=3))
    assert own.log.close()
    sink.close()
    assert own.n_dropped("write_failed") == 80
    assert own.n_written == 43
    raw = path.read_text(encoding="utf-8").splitlines()
    late = [line for line in raw if "late" in line]
    assert [json.loads(line)["http.request.id"] for line in late] == ["late"] * 3


def test_a_sink_that_hangs_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """After the time-out the rest is dropped and counted, and the sink is still the writer's."""
    sink = GatedSink()
    own = Log(sink)
    own.log.start()
    own.log.record(exchange())
    assert sink.began.wait(20)
    own.log.record(exchange(n_rows=4))
    assert own.log.close(timeout_s=0.01) is False
    assert own.n_dropped("closed") == 4
    assert "4 lines of the payload log were not written" in caplog.text
    sink.gate.set()
    assert own.log.close()


def test_what_comes_after_the_end_is_counted_as_lost() -> None:
    """A request that outlives the drain does not vanish silently."""
    own = Log(io.StringIO())
    own.log.start()
    assert own.log.close()
    own.log.record(exchange(n_rows=2))
    assert own.n_dropped("closed") == 2


def test_without_a_sink_nothing_is_written_and_nothing_counted() -> None:
    """`off` means off."""
    own = Log(None)
    own.log.start()
    own.log.record(exchange())
    assert own.log.close()
    assert own.n_written == 0


def test_a_log_that_never_started_can_be_closed() -> None:
    """A start that fails early ends as cleanly as any."""
    assert Log(io.StringIO()).log.close()


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """A restart keeps what was there."""
    path = tmp_path / "payload.log"
    path.write_text("before\n")
    sink = open_sink(str(path))
    assert sink is not None
    with sink:
        sink.write("after\n")
    assert path.read_text() == "before\nafter\n"


def test_the_words_for_no_file() -> None:
    """`stdout` and `off` are no paths."""
    assert open_sink("stdout") is sys.stdout
    assert open_sink("off") is None


@pytest.mark.parametrize("place", ["/", "/no/such/folder/payload.log", os.devnull + "/x"])
def test_a_file_that_cannot_be_opened_is_told_at_once(place: str) -> None:
    """At the start, not with the first request."""
    with pytest.raises(OSError, match=r"Errno"):
        open_sink(place)
