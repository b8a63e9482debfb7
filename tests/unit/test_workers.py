"""Tests that measure time run alone, however many processes the others run in, and files are shared out whole."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from tests import workers
from tests.services import wait
from tests.workers import turn, unit_of


class Runner(threading.Thread):
    """Runs a test that ends when it is told to; a lock of a file that is opened anew is another's, in a thread too."""

    def __init__(self, *, alone: bool) -> None:
        super().__init__(daemon=True)
        self._alone = alone
        self.runs = threading.Event()
        self.may_end = threading.Event()
        self.start()

    def run(self) -> None:
        with turn(alone=self._alone):
            self.runs.set()
            self.may_end.wait(20)
        self.runs.clear()

    def end(self) -> None:
        """Let it end, and wait until it has."""
        self.may_end.set()
        self.join(20)


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real ones are held by this very test."""
    for name in ("_ROOM", "_DOOR"):
        (tmp_path / name).touch()
        monkeypatch.setattr(workers, name, tmp_path / name)


def stands_in_the_door() -> bool:
    """Whether somebody waits for the room to be empty."""
    with workers._DOOR.open() as door:
        try:
            fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_others_run_beside_each_other() -> None:
    """Or two processes would be of no use."""
    runners = [Runner(alone=False) for _ in range(3)]
    assert all(runner.runs.wait(20) for runner in runners)
    for runner in runners:
        runner.end()


def test_who_is_alone_waits_for_those_who_run_and_comes_before_those_who_come_later() -> None:
    """Else it would wait until all tests of the other processes are over."""
    first = Runner(alone=False)
    assert first.runs.wait(20)
    alone = Runner(alone=True)
    for _ in wait():
        if stands_in_the_door():
            break
    later = Runner(alone=False)
    assert not alone.runs.wait(0.1)
    assert not later.runs.wait(0.1)
    first.end()
    assert alone.runs.wait(20)
    assert not later.runs.wait(0.1)
    alone.end()
    assert later.runs.wait(20)
    later.end()


def test_the_tests_of_a_file_stay_together_and_the_integration_tests_as_a_whole() -> None:
    """What they share is made once then."""
    assert unit_of("tests/unit/test_a.py::test_b[x::y]") == "tests/unit/test_a.py"
    assert unit_of("tests/integration/test_a.py::test_b") == unit_of("tests/integration/test_c.py::test_d")
    assert unit_of("tests/cluster/test_a.py::test_b") == unit_of("tests/cluster/test_c.py::test_d")
    assert unit_of("tests/e2e/test_a.py::test_b") != unit_of("tests/e2e/test_c.py::test_b")
