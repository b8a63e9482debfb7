"""An entry of the cache is whole or not there, whatever happens to the disk."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from app.registry.cache import ModelCache

FILES = {"MLmodel": b"flavors: {}", "model.ubj": b"{" + bytes(5000), "extra_files/card.json": b"{}"}


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    """A cache whose folder does not exist yet."""
    return ModelCache(tmp_path / "cache")


def refuse_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a read-only file system does, also to root."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("open", "mkdir", "rename", "rmdir", "unlink"):
        monkeypatch.setattr(os, name, refuse)


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
    """What stands beside the entries, but for the lock."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != ".lock"]


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
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


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


def test_a_full_disk_is_an_error_and_leaves_nothing(cache: ModelCache, tmp_path: Path) -> None:
    """The room that was taken is given back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # no file may grow beyond it
        with pytest.raises(OSError, match="File too large"):
            add(cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_stray_file_is_no_entry(cache: ModelCache, caplog: pytest.LogCaptureFixture) -> None:
    """Such as a file manager leaves: it is neither told at every start nor touched."""
    entry = add(cache)
    stray = entry.with_name(".DS_Store")
    stray.touch()
    assert cache.find("key") == entry
    assert caplog.text == ""
    assert stray.exists()


def test_a_folder_that_cannot_be_written_is_read(cache: ModelCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image may bring its model version along; damaged, it is not found."""
    entry = add(cache)
    with monkeypatch.context() as patched:
        refuse_writing(patched)
        assert cache.find("key") == entry
    (entry / "model.ubj").write_bytes(b"{")
    refuse_writing(monkeypatch)
    assert cache.find("key") is None
    with pytest.raises(OSError, match="Read-only"):
        add(cache)


@pytest.mark.parametrize("folder", ["/dev/full/cache", "/proc/treeserve", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_an_error(folder: str) -> None:
    """And looking into it is none: there is nothing."""
    cache = ModelCache(Path(folder))
    assert cache.find("key") is None
    with pytest.raises(OSError, match="Errno"):
        add(cache)
