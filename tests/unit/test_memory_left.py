"""A container's limit counts, and a process that keeps to it is refused memory instead of being killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.memory import find_memory_left, is_out_of_memory, keep_to
from tests.processes import PROJECT

MIB = 1 << 20


def make_cgroup(folder: Path, **files: str) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".", 1)
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("limit", "used", "stat", "left"),
    [
        (160, 100, "anon 0\nfile 0\nshmem 0\n", 50),
        (160, 100, f"file {30 * MIB}\nshmem {10 * MIB}\n", 70),  # what is cached of files is given back
        (160, 160, "", 0),
    ],
)
def test_what_a_cgroup_has_left(tmp_path: Path, limit: int, used: int, stat: str, left: int) -> None:
    """A sixteenth of the limit is for those that serve."""
    cgroup = make_cgroup(tmp_path, memory_max=f"{limit * MIB}\n", memory_current=f"{used * MIB}\n", memory_stat=stat)
    assert find_memory_left(cgroup) == left * MIB


def test_what_an_old_cgroup_has_left(tmp_path: Path) -> None:
    """Version 1: other names, and figures of the cgroup alone beside those with all below it."""
    cgroup = make_cgroup(
        tmp_path,
        memory__memory_limit_in_bytes=f"{160 * MIB}\n",
        memory__memory_usage_in_bytes=f"{100 * MIB}\n",
        memory__memory_stat=f"cache 1\nshmem 2\ntotal_cache {30 * MIB}\ntotal_shmem {10 * MIB}\n",
    )
    assert find_memory_left(cgroup) == 70 * MIB


def test_no_limit_is_none(tmp_path: Path) -> None:
    """Neither where there is no cgroup, nor where it may take all."""
    assert find_memory_left(tmp_path / "none") is None
    assert find_memory_left(make_cgroup(tmp_path, memory_max="max\n", memory_current="5\n", memory_stat="")) is None
    old = make_cgroup(
        tmp_path / "old",
        memory__memory_limit_in_bytes="9223372036854771712\n",
        memory__memory_usage_in_bytes="5\n",
        memory__memory_stat="",
    )
    assert find_memory_left(old) is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count so")
@pytest.mark.parametrize(("taken", "told"), [(100, "refused"), (10, "taken")])
def test_a_process_is_refused_what_is_beyond(taken: int, told: str) -> None:
    """And not afterwards."""
    code = f"""
from app.memory import is_out_of_memory, keep_to
try:
    with keep_to(50 << 20):
        bytearray({taken} << 20)
    print("taken")
except MemoryError as error:
    assert is_out_of_memory(error)
    print("refused")
bytearray(200 << 20)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=PROJECT
    )
    assert ended.stdout.split() == [told]


@pytest.mark.parametrize("told", ["std::bad_alloc", "can't start new thread"])
def test_others_say_so_in_their_own_words(told: str) -> None:
    """XGBoost, and Python's threads."""
    assert is_out_of_memory(RuntimeError(told))
    assert not is_out_of_memory(RuntimeError("something else"))


def test_an_error_goes_through() -> None:
    """And takes the limit with it."""
    with pytest.raises(KeyError), keep_to(1000 * MIB):
        raise KeyError
