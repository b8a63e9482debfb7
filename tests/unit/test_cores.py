"""A container's quota counts, and not the machine's cores."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.cores import available_cores, make_batch_threads
from tests.processes import PROJECT


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 16."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000\n", 16), ("200000 100000\n", 2), ("150000 100000\n", 2), ("50000 100000\n", 1), ("odd\n", 16),
     ("1000000000 1000\n", 16), ("1 0\n", 16)],
)  # fmt: skip
def test_the_quota_of_a_cgroup(tmp_path: Path, text: str, cores: int) -> None:
    """Version 2: one file."""
    (tmp_path / "cpu.max").write_text(text)
    assert available_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 16), ("300000", 3)])
def test_the_quota_of_an_old_cgroup(tmp_path: Path, quota: str, cores: int) -> None:
    """Version 1: two files."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(tmp_path) == cores


def test_no_cgroup_is_no_limit(tmp_path: Path) -> None:
    """All cores that the process may run on."""
    assert available_cores(tmp_path / "none") == 16


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own here")
def test_batches_go_after_everything_else_of_the_process() -> None:
    """Each of their threads, and no other."""
    with make_batch_threads("batch", 2) as threads:
        both = threading.Barrier(2)

        def niceness(_: int) -> int:
            both.wait(10)
            return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

        found = list(threads.map(niceness, range(2)))
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert all(each > own for each in found)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own here")
@pytest.mark.parametrize("niceness", [10, 17])
def test_a_process_that_is_nice_itself_stays_so(niceness: int) -> None:
    """Its batches go behind it, and never before: for that it would need rights that it does not have."""
    code = (
        "import os; from app.cores import make_batch_threads; "
        "print(make_batch_threads('b', 1).submit(os.getpriority, os.PRIO_PROCESS, 0).result())"
    )
    command = ["nice", "-n", str(niceness), sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    assert int(ended.stdout) == min(19, niceness + 5)
