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
FILL_IN_A_PROCESS = """
import pathlib, sys
from app.registry.cache import ModelCache
from tests.unit.registry.test_cache import fill, read
cache = ModelCache(pathlib.Path(sys.argv[1]))
for _ in range(60):
    fill(cache)
    read(cache)
    assert cache.find("key"), "not whole"
"""


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    """A cache whose folder does not exist yet."""
    return ModelCache(tmp_path / "cache")


def fill(cache: ModelCache, key: str = "key", **changes: bytes) -> None:
    """Fill an entry, with the contents of some files changed."""
    with cache.fill(key) as folder:
        for name, content in (FILES | changes).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)


def read(cache: ModelCache, key: str = "key") -> dict[str, bytes]:
    """Every file of an entry."""
    return {name: (cache.place(key) / name).read_bytes() for name in FILES}


def leftovers(folder: Path) -> list[str]:
    """What stands beside the entries."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_what_was_put_in_is_found(cache: ModelCache, tmp_path: Path) -> None:
    """Every file, in its place, and nothing left beside it."""
    assert cache.find("key") is None
    fill(cache)
    assert cache.find("key") == cache.place("key") == tmp_path / "cache" / "key" / "files"
    assert read(cache) == FILES
    assert leftovers(tmp_path / "cache") == []


def test_entries_do_not_mix(cache: ModelCache) -> None:
    """Another key is another model."""
    fill(cache, "a", MLmodel=b"a")
    fill(cache, "b", MLmodel=b"b")
    assert (read(cache, "a")["MLmodel"], read(cache, "b")["MLmodel"]) == (b"a", b"b")


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "files" / "model.ubj").write_bytes(b"{"),
        lambda entry: os.truncate(entry / "files" / "model.ubj", 0),
        lambda entry: (entry / "files" / "model.ubj").unlink(),
        lambda entry: (entry / "files" / "more").touch(),
        lambda entry: (entry / "digests.json").unlink(),
        lambda entry: (entry / "digests.json").write_bytes(b""),
        lambda entry: (entry / "digests.json").write_bytes(b"\xff"),
        lambda entry: (entry / "digests.json").write_bytes(b"[]"),
    ],
    ids=["changed", "empty", "missing", "one more", "no digests", "empty digests", "not UTF-8", "foreign digests"],
)
def test_a_damaged_entry_is_thrown_away(
    cache: ModelCache, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that lost some bytes must never serve them; the next fill makes it good."""
    fill(cache)
    entry = cache.place("key").parent
    damage(entry)
    assert cache.find("key") is None
    assert not entry.exists()
    assert "is not whole" in caplog.text
    fill(cache)
    assert cache.find("key")


def test_a_download_that_fails_leaves_nothing(cache: ModelCache, tmp_path: Path) -> None:
    """Half a model is no entry, and takes no room."""
    with pytest.raises(TypeError):
        fill(cache, model=None)  # type: ignore[arg-type]
    assert cache.find("key") is None
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_download_that_fails_leaves_the_entry_that_is_there(cache: ModelCache) -> None:
    """What served before can serve again."""
    fill(cache)
    with pytest.raises(TypeError):
        fill(cache, model=None)  # type: ignore[arg-type]
    assert cache.find("key")
    assert read(cache) == FILES


def test_a_newer_copy_takes_the_place_of_the_old(cache: ModelCache, tmp_path: Path) -> None:
    """Of something that can change, such as a run's files."""
    fill(cache)
    fill(cache, MLmodel=b"new")
    assert read(cache)["MLmodel"] == b"new"
    assert cache.find("key")
    assert leftovers(tmp_path / "cache") == []


def test_a_second_copy_of_the_same_files_leaves_the_first_where_it_is(cache: ModelCache, tmp_path: Path) -> None:
    """Another process may be reading it just now."""
    fill(cache)
    inode = cache.place("key").stat().st_ino
    fill(cache)
    assert cache.place("key").stat().st_ino == inode
    assert leftovers(tmp_path / "cache") == []


def test_a_damaged_entry_is_no_first_copy(cache: ModelCache) -> None:
    """It is replaced, though its digests say what the new ones say."""
    fill(cache)
    (cache.place("key") / "model.ubj").write_bytes(b"{")
    fill(cache)
    assert read(cache) == FILES


def test_threads_that_fill_at_once_all_find_it_whole(cache: ModelCache, tmp_path: Path) -> None:
    """Nobody fails, nobody reads half of it, and one entry is left."""
    together = threading.Barrier(6, timeout=20)

    def fill_and_read(_: int) -> None:
        for _ in range(30):
            together.wait()
            fill(cache)
            assert read(cache) == FILES

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(fill_and_read, range(6)))
    assert cache.find("key")
    assert leftovers(tmp_path / "cache") == []


def test_threads_that_fill_with_different_files_end_with_one_of_them(cache: ModelCache, tmp_path: Path) -> None:
    """A run's files that change meanwhile: the last one wins, whole."""
    contents = [bytes([65 + number]) for number in range(4)]

    def fill_often(content: bytes) -> None:
        for _ in range(30):
            fill(cache, MLmodel=content)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(fill_often, contents))
    assert cache.find("key")
    assert read(cache)["MLmodel"] in contents
    assert leftovers(tmp_path / "cache") == []


def test_processes_that_fill_at_once_all_find_it_whole(cache: ModelCache, tmp_path: Path) -> None:
    """Several workers on one machine share a cache folder."""
    command = [sys.executable, "-c", FILL_IN_A_PROCESS, str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in running] == [("", 0)] * 2
    assert read(cache) == FILES
    assert leftovers(tmp_path / "cache") == []


def test_a_full_disk_is_an_error_and_leaves_nothing(cache: ModelCache, tmp_path: Path) -> None:
    """The room that was taken is given back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # no file may grow beyond it
        with pytest.raises(OSError, match="File too large"):
            fill(cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("folder", ["/dev/full/cache", "/proc/treeserve", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_an_error(folder: str) -> None:
    """And looking into it is none: there is nothing."""
    cache = ModelCache(Path(folder))
    assert cache.find("key") is None
    with pytest.raises(OSError, match="Errno"):
        fill(cache)


@pytest.mark.parametrize("name", [".filling-x", ".replaced-x"])
def test_what_a_killed_process_left_behind_is_removed_after_a_day(cache: ModelCache, tmp_path: Path, name: str) -> None:
    """And not sooner: another process may be filling it just now."""
    folder = tmp_path / "cache"
    old, new = folder / name, folder / f"{name}y"
    for remains in (old, new):
        (remains / "files").mkdir(parents=True)
    os.utime(old, (0, time.time() - 25 * 3600))
    os.utime(new, (0, time.time() - 23 * 3600))
    fill(cache)
    assert not old.exists()
    assert new.exists()
