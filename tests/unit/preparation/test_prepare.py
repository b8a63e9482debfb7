"""A model version is downloaded, verified and kept; what was verified before is not verified again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from app import evaluation
from app.artifacts import write_artifact
from app.errors import CacheUnwritable, ModelError, ModelUnfit, RegistryUnreachable
from app.forest.xgboost_forest import XGBoostForest
from app.model_version import ModelVersion
from app.preparation.file import read_prepared
from app.preparation.prepare import prepare
from tests.boosters import ModelFolderBuilder, make_card, write_golden
from tests.services import FakeRegistry


@pytest.fixture
def registry(model_folder: Path) -> FakeRegistry:
    """Has the model that most tests use."""
    return FakeRegistry(model_folder)


@pytest.fixture
def without_xgboost(monkeypatch: pytest.MonkeyPatch) -> Any:
    """From the call on, whoever opens XGBoost fails."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("XGBoost was opened")

    return lambda: monkeypatch.setattr(XGBoostForest, "__init__", refuse)


def test_it_is_verified_once(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path, without_xgboost: Any
) -> None:
    """Wherever its files are the next time."""
    first = prepare(version, registry, [tmp_path / "p"])
    assert (first.version, first.folder) == (version, registry.folder)
    without_xgboost()
    assert prepare(version, registry, [tmp_path / "p"]) == first
    moved = ModelVersion("x", "1", None, None, str(shutil.copytree(registry.folder, tmp_path / "moved")), True)
    assert prepare(moved, registry, [tmp_path / "p"]).file == first.file
    assert read_prepared(first).evaluator.name.startswith("kernel")


def test_what_is_damaged_or_of_other_files_is_verified_anew(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path, without_xgboost: Any
) -> None:
    """What was found out speaks of one model alone, and only whole."""
    first = prepare(version, registry, [tmp_path / "p"])
    first.file.write_bytes(b"x")
    read_prepared(prepare(version, registry, [tmp_path / "p"]))
    other = shutil.copytree(registry.folder, tmp_path / "other")
    (other / "note.txt").touch()
    without_xgboost()
    with pytest.raises(AssertionError):
        prepare(ModelVersion("x", "1", None, None, str(other), True), registry, [tmp_path / "p"])


def test_a_model_that_fails_verification_is_not_kept(
    model: ModelFolderBuilder, registry: FakeRegistry, tmp_path: Path
) -> None:
    """It loads, and then answers otherwise than at training."""
    folder = shutil.copytree(registry.folder, tmp_path / "model")
    golden = write_golden(model.booster, model.table.head(3))
    write_artifact(golden.model_copy(update={"margins": [9.0, 9.0, 9.0]}), folder / "extra_files" / "golden.json")
    write_artifact(make_card(folder / "model.ubj"), folder / "extra_files" / "card.json")
    with pytest.raises(ModelUnfit, match="golden row 0"):
        prepare(ModelVersion("x", "1", None, None, str(folder), True), registry, [tmp_path / "p"])
    assert not (tmp_path / "p").exists()


def test_a_kernel_that_differs_is_kept_as_xgboost(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever serves it learns that, and why."""
    monkeypatch.setattr(evaluation, "_count_differences", lambda *_: 1)
    read = read_prepared(prepare(version, registry, [tmp_path / "p"]))
    assert isinstance(read.forest, XGBoostForest)
    assert read.evaluator.has_disagreed


def test_a_second_folder_keeps_what_the_first_cannot(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    """A cache folder may be read-only or full; only where nothing can be kept nothing serves."""
    (tmp_path / "full").touch()
    kept = prepare(version, registry, [tmp_path / "full" / "p", tmp_path / "spare"])
    assert kept.file.parent == tmp_path / "spare"
    assert prepare(version, registry, [tmp_path / "full" / "p", tmp_path / "spare"]) == kept
    with pytest.raises(CacheUnwritable, match="could not be kept in TREESERVE_CACHE_DIR"):
        prepare(version, registry, [tmp_path / "full" / "p"])


def test_files_that_cannot_be_had_are_the_registrys_failure(version: ModelVersion, tmp_path: Path) -> None:
    """As it says it."""

    class Down(FakeRegistry):
        def fetch(self, version: ModelVersion) -> Path:
            raise RegistryUnreachable("no answer")

    with pytest.raises(RegistryUnreachable):
        prepare(version, Down(tmp_path), [tmp_path / "p"])


@pytest.mark.parametrize(
    "failure", [MemoryError(), ModelUnfit("XGBoost cannot read model.ubj: std::bad_alloc; is the file whole?")]
)
def test_what_takes_more_memory_than_is_left_may_be_tried_again(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """In a container with a limit; where there is none it is as it was told."""

    def run_out(_: Path) -> None:
        raise failure

    monkeypatch.setattr("app.preparation.prepare.verify_files", run_out)
    monkeypatch.setattr("app.preparation.prepare.find_memory_left", lambda: 1000 << 20)
    with pytest.raises(
        ModelError, match="takes more memory than is left, 1000 MiB; raise the container's limit"
    ) as told:
        prepare(version, registry, [tmp_path / "p"])
    assert type(told.value) is ModelError
    monkeypatch.setattr("app.preparation.prepare.find_memory_left", lambda: None)
    with pytest.raises(type(failure)) as untold:
        prepare(version, registry, [tmp_path / "p"])
    assert untold.value is failure
