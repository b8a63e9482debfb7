"""Processes and threads that share a cache folder: none disturbs another, with the file system's locks or without."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.folder_digest import digest_folder
from app.registry.cache import ModelCache
from tests.unit.registry.test_cache import FILES, add, files_of, leftovers

ADD_IN_A_PROCESS = """
import pathlib, sys
from app.registry.cache import ModelCache
from tests.unit.registry.test_cache import FILES, add, files_of
cache = ModelCache(pathlib.Path(sys.argv[1]))
for _ in range(60):
    assert files_of(add(cache)) == FILES
    assert cache.find("key"), "not whole"
"""
DOWNLOAD_FOR_EVER = """
import pathlib, sys
from app.registry.cache import ModelCache
def download(folder):
    (folder / "model.ubj").write_bytes(b"{")
    print("begun", flush=True)
    sys.stdin.read()
ModelCache(pathlib.Path(sys.argv[1])).add("key", download)
"""


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    """A cache whose folder does not exist yet."""
    return ModelCache(tmp_path / "cache")


def refuse_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As some network file systems do."""

    def flock(descriptor: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("with_locks", [True, False])
def test_threads_that_add_at_once_all_find_it_whole(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_locks: bool
) -> None:
    """Nobody fails, nobody reads half of it, whatever the others add, and whatever the file system can do."""
    if not with_locks:
        refuse_locks(monkeypatch)
    together = threading.Barrier(6, timeout=20)

    def add_and_read(number: int) -> None:
        content = bytes([65 + number // 2])  # two threads each add the same
        for repetition in range(30):
            together.wait()
            assert files_of(add(cache, f"key{repetition}", MLmodel=content)) == FILES | {"MLmodel": content}

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(add_and_read, range(6)))
    assert len(list((tmp_path / "cache" / "key29").iterdir())) == 3
    assert leftovers(tmp_path / "cache") == []


def test_processes_that_add_at_once_all_find_it_whole(cache: ModelCache, tmp_path: Path) -> None:
    """Several workers on one machine share a cache folder."""
    command = [sys.executable, "-c", ADD_IN_A_PROCESS, str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in running] == [("", 0)] * 2
    assert leftovers(tmp_path / "cache") == []


def test_a_good_entry_is_not_thrown_away_for_a_damaged_one(cache: ModelCache) -> None:
    """A process that finds damage must not remove what another has made good meanwhile."""
    entry = add(cache)
    together = threading.Barrier(3, timeout=20)

    def damage_and_mend(number: int) -> None:
        for _ in range(40):
            if together.wait() == 0:
                (entry / "model.ubj").write_bytes(b"{")
            together.wait()
            cache.find("key")
            assert files_of(add(cache)) == FILES
            together.wait()
            assert cache.find("key") == entry, number

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(damage_and_mend, range(3)))


def test_another_process_may_be_first_by_a_moment(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without locks its entry can appear just before ours would; its copy is as good, if it is whole."""
    rename = Path.rename

    def be_second(source: Path, target: Path) -> Path:
        shutil.copytree(source, target)
        return rename(source, target)

    def be_second_to_a_damaged_one(source: Path, target: Path) -> Path:
        shutil.copytree(source, target)
        (target / "model.ubj").write_bytes(b"{")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", be_second)
    assert files_of(add(cache)) == FILES
    monkeypatch.setattr(Path, "rename", be_second_to_a_damaged_one)
    with pytest.raises(OSError, match="not empty"):
        add(cache, "another key")
    assert leftovers(tmp_path / "cache") == []


def test_nobody_waits_while_files_are_hashed(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes seconds for gigabytes; the lock is free meanwhile."""
    digest = digest_folder

    def lock_and_digest(folder: Path) -> str:
        with (tmp_path / "cache" / ".lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or fail
        return digest(folder)

    monkeypatch.setattr("app.registry.cache.digest_folder", lock_and_digest)
    entry = add(cache)
    assert cache.find("key") == entry == add(cache)


@pytest.mark.parametrize("seen", ["changed", "vanishing"])
def test_an_entry_that_is_made_good_while_it_is_looked_at_stays(
    cache: ModelCache, monkeypatch: pytest.MonkeyPatch, seen: str
) -> None:
    """What was damaged a moment ago is looked at again before it is thrown away."""
    entry = add(cache)
    digest = digest_folder

    def digest_once_good(folder: Path) -> str:
        monkeypatch.setattr("app.registry.cache.digest_folder", digest)
        if seen == "vanishing":
            raise FileNotFoundError
        return "0" * 64

    monkeypatch.setattr("app.registry.cache.digest_folder", digest_once_good)
    assert cache.find("key") == entry
    assert files_of(entry) == FILES


def test_what_a_killed_process_left_behind_is_removed(cache: ModelCache, tmp_path: Path) -> None:
    """As soon as another one adds; while it lives, it is left alone."""
    command = [sys.executable, "-c", DOWNLOAD_FOR_EVER, str(tmp_path / "cache")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == b"begun\n"
            add(cache)
            assert len(leftovers(tmp_path / "cache")) == 1
        finally:
            process.kill()
    assert len(leftovers(tmp_path / "cache")) == 1
    add(cache)
    assert leftovers(tmp_path / "cache") == []


@pytest.mark.parametrize("with_file", [True, False])
def test_without_locks_what_was_left_behind_is_removed_after_a_day(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_file: bool
) -> None:
    """And not sooner: another process may be adding it just now."""
    refuse_locks(monkeypatch)
    folder = tmp_path / "cache"
    old, new = folder / ".adding-x", folder / ".adding-y"
    for remains in (old, new):
        (remains / "files").mkdir(parents=True)
        if with_file:
            (remains / ".lock").touch()
    os.utime(old, (0, time.time() - 25 * 3600))
    os.utime(new, (0, time.time() - 23 * 3600))
    add(cache)
    assert not old.exists()
    assert new.exists()
