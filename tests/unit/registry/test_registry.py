"""A model version's files are a folder on this machine: where they lie, or a whole copy in the cache."""

from __future__ import annotations

import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import CacheUnwritable, ModelNotFound, ModelUnfit
from app.mlmodel import read_model_folder
from app.model_version import ModelVersion
from app.registry import child
from app.registry.registry import MlflowRegistry
from tests.unit.registry.test_sqlite import make_store


@pytest.fixture
def source(model_folder: Path, tmp_path: Path) -> Path:
    """A model's files in a store of this machine."""
    return shutil.copytree(model_folder, tmp_path / "store")


@pytest.fixture
def version(source: Path) -> ModelVersion:
    """A registered version with these files."""
    return ModelVersion("flight-delay", "7", "champion", "r7", str(source), is_immutable=True)


@pytest.fixture
def registry(tmp_path: Path) -> MlflowRegistry:
    """A registry with an empty cache."""
    return MlflowRegistry("sqlite:////nowhere", tmp_path / "cache")


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> list[tuple[str, str]]:
    """Stand in for the child process that MLflow runs in; what was asked of it."""
    asked: list[tuple[str, str]] = []

    def download(source: str, folder: Path, tracking_uri: str) -> None:
        asked.append((source, tracking_uri))
        shutil.copytree(model_folder, folder, dirs_exist_ok=True)

    monkeypatch.setattr(child, "download", download)
    return asked


def test_a_uri_is_resolved_against_the_tracking_uri(tmp_path: Path) -> None:
    """The one it was made with."""
    store = make_store(tmp_path / "mlflow.db")
    assert MlflowRegistry(f"sqlite:///{store}", tmp_path).resolve("models:/flight-delay@champion").version == "2"


def test_registered_models_may_be_in_another_store(
    version: ModelVersion, tmp_path: Path, downloads: list[tuple[str, str]]
) -> None:
    """It is asked for them; files are downloaded by the store of the runs."""
    store = make_store(tmp_path / "mlflow.db")
    registry = MlflowRegistry("http://runs", tmp_path / "cache", f"sqlite:///{store}")
    assert registry.resolve("models:/flight-delay@champion").version == "2"
    registry.fetch(replace(version, source="models:/m-1"))
    assert downloads == [("models:/m-1", "http://runs")]
    other = MlflowRegistry("http://runs", tmp_path / "cache", "http://another")
    assert other.fetch(version) != registry.fetch(version)


@pytest.mark.parametrize("as_uri", [False, True])
def test_a_registered_versions_files_are_copied_into_the_cache(
    registry: MlflowRegistry, version: ModelVersion, source: Path, tmp_path: Path, as_uri: bool
) -> None:
    """The store may be moved or emptied while the service runs, and nothing is ever written into it."""
    folder = registry.fetch(replace(version, source=source.as_uri()) if as_uri else version)
    assert folder.is_relative_to(tmp_path / "cache")
    assert {path.name for path in folder.rglob("*")} == {path.name for path in source.rglob("*")}


def test_the_cache_answers_when_the_store_is_gone(
    registry: MlflowRegistry, version: ModelVersion, source: Path
) -> None:
    """A restart needs no download."""
    first = registry.fetch(version)
    shutil.rmtree(source)
    assert registry.fetch(version) == first


def test_a_damaged_copy_is_fetched_again(registry: MlflowRegistry, version: ModelVersion) -> None:
    """The disk lost a byte; the store has it."""
    booster = registry.fetch(version) / "model.ubj"
    whole = booster.read_bytes()
    booster.write_bytes(whole[:-1])
    assert (registry.fetch(version) / "model.ubj").read_bytes() == whole


@pytest.mark.parametrize("change", [{"version": "8"}, {"name": "x"}, {"run_id": "r8"}, {"source": "models:/x/1"}])
def test_another_version_is_another_copy(
    registry: MlflowRegistry, version: ModelVersion, downloads: list[Any], change: dict[str, Any]
) -> None:
    """Also version 7 of a store that was deleted and made anew: its run is another."""
    assert registry.fetch(version) != registry.fetch(replace(version, **change))


def test_another_registry_is_another_copy(version: ModelVersion, tmp_path: Path) -> None:
    """Two registries may each have a version 7."""
    one, two = (MlflowRegistry(uri, tmp_path / "cache") for uri in ("http://one", "http://two"))
    assert one.fetch(version) != two.fetch(version)


def test_the_alias_makes_no_other_copy(registry: MlflowRegistry, version: ModelVersion) -> None:
    """Promotion moves an alias; the files are the same."""
    assert registry.fetch(version) == registry.fetch(replace(version, alias=None))


def test_a_named_folder_is_read_where_it_is(registry: MlflowRegistry, version: ModelVersion, tmp_path: Path) -> None:
    """Whoever names a directory wants to change it and start again."""
    assert registry.fetch(replace(version, is_immutable=False)) == Path(version.source)
    assert not (tmp_path / "cache").exists()


def test_what_only_mlflow_can_read_is_downloaded_once(
    registry: MlflowRegistry, version: ModelVersion, downloads: list[tuple[str, str]]
) -> None:
    """By MLflow's own client, in a child process."""
    remote = replace(version, source="models:/flight-delay/7")
    folder = registry.fetch(remote)
    assert registry.fetch(remote) == folder
    assert downloads == [("models:/flight-delay/7", "sqlite:////nowhere")]
    assert (folder / "MLmodel").is_file()


@pytest.mark.parametrize("source", ["runs:/r7/model", "s3://bucket/model", "file://another-host/model"])
def test_what_can_change_is_downloaded_every_time(
    registry: MlflowRegistry, version: ModelVersion, downloads: list[tuple[str, str]], source: str
) -> None:
    """A run's files can be overwritten under the same name."""
    mutable = replace(version, source=source, is_immutable=False)
    registry.fetch(mutable)
    registry.fetch(mutable)
    assert downloads == [(source, "sqlite:////nowhere")] * 2


def test_files_that_are_gone_are_told_with_the_likely_reason(
    registry: MlflowRegistry, version: ModelVersion, source: Path, tmp_path: Path
) -> None:
    """MLflow keeps absolute paths, so a clone that was moved still names the old folder."""
    shutil.rmtree(source)
    with pytest.raises(ModelNotFound, match=rf"flight-delay version 7 are not at {source} any more.*make train"):
        registry.fetch(version)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_link_out_of_the_store_is_not_followed(registry: MlflowRegistry, version: ModelVersion, source: Path) -> None:
    """What it leads to would be copied into the cache, and look like a file of the model."""
    (source / "model.ubj").unlink()
    (source / "model.ubj").symlink_to("/etc/hostname")
    with pytest.raises(ModelUnfit, match="points outside its folder"):
        read_model_folder(registry.fetch(version))


@pytest.mark.parametrize("cache_dir", ["/dev/full", "/proc/treeserve"])
def test_a_cache_folder_that_cannot_be_written_is_told(version: ModelVersion, cache_dir: str) -> None:
    """With the setting, the place and the reason."""
    with pytest.raises(CacheUnwritable, match=rf"TREESERVE_CACHE_DIR: \[Errno \d+\] .*'{cache_dir}.*make room"):
        MlflowRegistry("x", Path(cache_dir)).fetch(version)


def test_a_full_disk_is_told(registry: MlflowRegistry, version: ModelVersion, tmp_path: Path) -> None:
    """The reason is one line, however many files could not be copied."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # no file may grow beyond it
        with pytest.raises(CacheUnwritable, match=r"TREESERVE_CACHE_DIR: \[Errno 27\] File too large") as caught:
            registry.fetch(version)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(str(caught.value)) < 400
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]
