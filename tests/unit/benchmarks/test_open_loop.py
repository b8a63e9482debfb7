"""A load that waits for nobody: its figures count from the time that a request was due."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.load import LoadFailed
from benchmarks.open_loop import _is_whole, offer
from tests.processes import free_port
from tests.service.raw_http import Echo, request, run_echo
from tests.services import wait


@pytest.fixture
def running() -> Iterator[Echo]:
    """A server that answers plain bodies at once, and takes on two predictions."""
    with run_echo(limit=2) as started:
        yield started


@pytest.fixture
def bodies(tmp_path: Path) -> Path:
    """Two of them."""
    file = tmp_path / "bodies.jsonl"
    file.write_text("abc\ndef\n")
    return file


def test_a_load_comes_at_its_rate_and_is_counted(running: Echo, bodies: Path) -> None:
    """Every request of it is answered, with the bodies in turn."""
    found = offer(running.address[1], bodies, rate=200, seconds=1, connections=50, core=None)
    assert found.answered_per_s + found.refused_per_s == pytest.approx(200, rel=0.2)
    assert 0 < found.p50_ms <= found.p99_ms
    assert found.n_lost == 0
    assert 0 < found.core_share <= 1.1
    assert set(running.way.asked) == {b"abc", b"def"}


def test_refusals_are_no_answers(running: Echo, bodies: Path) -> None:
    """They are counted apart, and no latency is theirs."""
    running.way.may_end.clear()
    with running.connect() as one, running.connect() as another:
        for caller in (one, another):
            caller.sendall(request(b"ab", path=b"/predict"))  # which lasts
        for _ in wait():
            if running.way.overload.is_full:
                break
        found = offer(running.address[1], bodies, rate=math.inf, seconds=0.3, connections=2, core=None)
        running.way.may_end.set()
    assert found.answered_per_s < found.refused_per_s
    assert found.n_lost == 0


def test_a_load_that_nobody_takes_is_none(bodies: Path) -> None:
    """And it is told why."""
    with pytest.raises(LoadFailed, match="Connection refused"):
        offer(free_port(), bodies, rate=10, seconds=0.1, connections=1, core=None)


@pytest.mark.parametrize(
    ("answer", "is_whole"),
    [
        (b"HTTP/1.1 200 OK\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx: y\r\n\r\nabc", True),
    ],
)
def test_an_answer_may_come_in_pieces(answer: bytes, is_whole: bool) -> None:
    """As a batch's does."""
    assert _is_whole(answer) is is_whole
