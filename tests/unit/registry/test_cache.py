"""An entry of the cache is whole or not there, whatever happens to the disk and whoever else writes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.registry.cache import ModelCache

FILES = {"MLmodel": b"flavors: {}", "model.ubj": b"{" + bytes(5000), "extra_files/card.json": b"{}"}
ADD_IN_A_PROCESS = """
import pathlib, sys
from app.registry.cache import ModelCache
from tests.unit.registry.test_cache import FILES, add, files_of
cache = ModelCache(pathlib.Path(sys.argv[1]))
for _ in range(60):
    assert files_of(add(cache)) == FILES
    assert cache.find("key"), "not whole"
"""


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    """A cache whose folder does not exist yet."""
    return ModelCache(tmp_path / "cache")


def add(cache: ModelCache, key: str = "key", **changes: bytes) -> Path:
    """Add an entry, with the contents of some files changed."""

    def download(folder: Path) -> None:
        for name, content in (FILES | changes).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

    return cache.add(key, download)


def files_of(entry: Path) -> dict[str, bytes]:
    """Every file of an entry."""
    return {str(path.relative_to(entry)): path.read_bytes() for path in entry.rglob("*") if path.is_file()}


def leftovers(folder: Path) -> list[str]:
    """What stands beside the entries."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_what_was_put_in_is_found(cache: ModelCache, tmp_path: Path) -> None:
    """Every file, in its place, and nothing left beside it."""
    assert cache.find("key") is None
    entry = add(cache)
    assert entry.is_relative_to(tmp_path / "cache" / "key")
    assert cache.find("key") == entry
    assert files_of(entry) == FILES
    assert leftovers(tmp_path / "cache") == []


def test_entries_do_not_mix(cache: ModelCache) -> None:
    """Another key is another model."""
    for key in ("a", "b"):
        add(cache, key, MLmodel=key.encode())
    for key in ("a", "b"):
        found = cache.find(key)
        assert found
        assert (found / "MLmodel").read_text() == key


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "model.ubj").write_bytes(b"{"),
        lambda entry: os.truncate(entry / "model.ubj", 0),
        lambda entry: (entry / "model.ubj").unlink(),
        lambda entry: (entry / "more").touch(),
        lambda entry: (entry / "extra_files").rename(entry / "extra"),
        lambda entry: entry.rename(entry.with_name("0" * 64)),
    ],
    ids=["changed", "empty", "missing", "one more", "moved", "another name"],
)
def test_a_damaged_entry_is_thrown_away(
    cache: ModelCache, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that lost some bytes must never serve them; the next download makes it good."""
    entry = add(cache)
    damage(entry)
    assert cache.find("key") is None
    assert list(entry.parent.iterdir()) == []
    assert "is not whole" in caplog.text
    assert add(cache) == entry == cache.find("key")


def test_a_download_that_fails_leaves_nothing(cache: ModelCache, tmp_path: Path) -> None:
    """Half a model is no entry, and takes no room."""
    with pytest.raises(TypeError):
        add(cache, model=None)  # type: ignore[arg-type]
    assert cache.find("key") is None
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_download_that_fails_leaves_the_entry_that_is_there(cache: ModelCache) -> None:
    """What served before can serve again."""
    entry = add(cache)
    with pytest.raises(TypeError):
        add(cache, model=None)  # type: ignore[arg-type]
    assert cache.find("key") == entry
    assert files_of(entry) == FILES


def test_a_newer_copy_does_not_touch_the_old(cache: ModelCache, tmp_path: Path) -> None:
    """Of something that can change, such as a run's files: another process may be reading the old one."""
    old, new = add(cache), add(cache, MLmodel=b"new")
    assert files_of(old) == FILES
    assert files_of(new) == FILES | {"MLmodel": b"new"}
    assert leftovers(tmp_path / "cache") == []


def test_a_second_copy_of_the_same_files_leaves_the_first_where_it_is(cache: ModelCache, tmp_path: Path) -> None:
    """Another process may be reading it just now."""
    entry = add(cache)
    inode = entry.stat().st_ino
    assert add(cache) == entry
    assert entry.stat().st_ino == inode
    assert leftovers(tmp_path / "cache") == []


def test_a_damaged_entry_is_no_first_copy(cache: ModelCache) -> None:
    """It is replaced, though its name says what the new one's says."""
    entry = add(cache)
    (entry / "model.ubj").write_bytes(b"{")
    assert add(cache) == entry
    assert files_of(entry) == FILES


def test_threads_that_add_at_once_all_find_it_whole(cache: ModelCache, tmp_path: Path) -> None:
    """Nobody fails, nobody reads half of it, whatever the others add."""
    together = threading.Barrier(6, timeout=20)

    def add_and_read(number: int) -> None:
        content = bytes([65 + number // 2])  # two threads each add the same
        for _ in range(30):
            together.wait()
            assert files_of(add(cache, MLmodel=content)) == FILES | {"MLmodel": content}

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(add_and_read, range(6)))
    assert len(list((tmp_path / "cache" / "key").iterdir())) == 3
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


def test_a_full_disk_is_an_error_and_leaves_nothing(cache: ModelCache, tmp_path: Path) -> None:
    """The room that was taken is given back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # no file may grow beyond it
        with pytest.raises(OSError, match="File too large"):
            add(cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("folder", ["/dev/full/cache", "/proc/treeserve", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_an_error(folder: str) -> None:
    """And looking into it is none: there is nothing."""
    cache = ModelCache(Path(folder))
    assert cache.find("key") is None
    with pytest.raises(OSError, match="Errno"):
        add(cache)


def test_what_a_killed_process_left_behind_is_removed_after_a_day(cache: ModelCache, tmp_path: Path) -> None:
    """And not sooner: another process may be adding it just now."""
    folder = tmp_path / "cache"
    old, new = folder / ".adding-x", folder / ".adding-y"
    for remains in (old, new):
        (remains / "files").mkdir(parents=True)
    os.utime(old, (0, time.time() - 25 * 3600))
    os.utime(new, (0, time.time() - 23 * 3600))
    add(cache)
    assert not old.exists()
    assert new.exists()
