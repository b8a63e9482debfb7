"""What nobody has used for a week leaves the cache folder; what a start would ask for stays."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from app.model_version import ModelVersion
from app.preparation.cleaning import KEPT_FOR_S, clean
from app.preparation.last_verified import LastVerified
from app.preparation.prepare import prepare
from app.preparation.prepared import Prepared
from app.registry.registry import MlflowRegistry
from tests.services import wait

LONG_AGO_S = KEPT_FOR_S + 60


def age(*paths: Path, by_s: float = LONG_AGO_S) -> None:
    """Let them be as old as that."""
    then_s = time.time() - by_s
    for path in paths:
        os.utime(path, (then_s, then_s))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The cache folder."""
    return tmp_path / "cache"


@pytest.fixture
def kept(cache: Path, version: ModelVersion) -> Prepared:
    """A model version in it, as a service leaves it."""
    return prepare(version, MlflowRegistry("http://store", cache), [cache / "prepared"])


def test_what_is_old_and_named_by_nobody_goes(cache: Path, kept: Prepared) -> None:
    """With the folder that it was in, and what a process left that was killed."""
    remains = cache / "prepared" / ".writing-x"
    remains.touch()
    age(kept.folder, kept.file, remains)
    clean(cache)
    assert sorted(path.name for path in cache.rglob("*")) == [".lock", "prepared"]


def test_what_was_used_within_a_week_stays(cache: Path, kept: Prepared, version: ModelVersion) -> None:
    """A rollback finds it; a start uses it, even if it was downloaded long ago."""
    age(kept.folder, kept.file, by_s=KEPT_FOR_S - 60)
    clean(cache)
    assert kept.folder.is_dir()
    assert kept.file.is_file()
    age(kept.folder, kept.file)
    assert prepare(version, MlflowRegistry("http://store", cache), [cache / "prepared"]) == kept
    clean(cache)
    assert kept.folder.is_dir()
    assert kept.file.is_file()


def test_what_was_verified_last_for_some_uri_stays(cache: Path, kept: Prepared) -> None:
    """Until another one is: a process may have served it for months, and start again."""
    last = LastVerified(cache, "store")
    last.remember("u", kept)
    age(kept.folder, kept.file, *(cache / "last_verified").iterdir())
    clean(cache)
    assert kept.folder.is_dir()
    assert kept.file.is_file()
    assert last.recall("u") is not None
    last.remember("u", Prepared(kept.version, Path("/other"), Path("/other")))
    clean(cache)
    assert not kept.folder.exists()
    assert not kept.file.exists()


def test_it_stays_wherever_the_folder_is(cache: Path, kept: Prepared, tmp_path: Path) -> None:
    """Two machines may have the same folder in different places."""
    LastVerified(cache, "store").remember("u", kept)
    age(kept.folder, kept.file)
    clean(cache.rename(tmp_path / "mounted elsewhere"))
    (elsewhere,) = tmp_path.glob("mounted*")
    assert (elsewhere / kept.folder.relative_to(cache)).is_dir()
    assert (elsewhere / kept.file.relative_to(cache)).is_file()


def test_a_folder_goes_only_while_nobody_puts_something_into_it(cache: Path, kept: Prepared) -> None:
    """Or who does would fail."""
    age(kept.folder)
    with (cache / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cleaning = threading.Thread(target=clean, args=(cache,), daemon=True)
        cleaning.start()
        for _ in wait():
            if not kept.folder.exists():
                break
        cleaning.join(0.2)
        assert kept.folder.parent.is_dir()
    cleaning.join(20)
    assert not kept.folder.parent.exists()


def test_what_is_not_ours_stays(cache: Path, kept: Prepared) -> None:
    """However old: somebody has named a folder that has other things too."""
    other = cache / "mine" / "notes"
    other.mkdir(parents=True)
    (cache / "last_verified").mkdir()
    (cache / "last_verified" / "broken").write_text("{")
    age(other, other.parent, kept.file)
    clean(cache)
    assert other.is_dir()
    assert kept.folder.is_dir()
    assert not kept.file.exists()


def test_a_folder_that_is_not_there_is_clean(tmp_path: Path) -> None:
    """Nothing was ever kept."""
    clean(tmp_path / "none")
