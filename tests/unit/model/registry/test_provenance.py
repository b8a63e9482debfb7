"""A model says from which commit and with which libraries it was trained, or that nobody knows."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import xgboost

from model.registry.provenance import digest_recipe, is_locked, library_versions, list_requirements, read_commit


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "code.py").write_text("1")
    (tmp_path / "notes.txt").write_text("1")
    who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_the_commit_is_named(repository: Path) -> None:
    """All forty digits of it."""
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    assert read_commit(repository) == head.stdout.strip()


@pytest.mark.parametrize("file", ["model/code.py", "model/new.py"])
def test_changed_code_is_dirty(repository: Path, file: str) -> None:
    """A commit that is not the code that ran would be a lie."""
    (repository / file).write_text("2")
    assert (read_commit(repository) or "").endswith("-dirty")


def test_a_change_beside_the_code_is_none(repository: Path) -> None:
    """Notes do not train a model."""
    (repository / "notes.txt").write_text("2")
    assert not (read_commit(repository) or "-dirty").endswith("-dirty")


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    """Nor before the first one."""
    assert read_commit(tmp_path) is None
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    assert read_commit(tmp_path) is None


def test_without_git_there_is_no_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git can train."""
    monkeypatch.setenv("PATH", str(repository))
    assert read_commit(repository) is None


def test_versions_are_those_installed() -> None:
    """Whichever distribution XGBoost comes from."""
    versions = library_versions()
    assert xgboost.__version__ in {versions.get("xgboost-cpu"), versions.get("xgboost")}
    assert versions["pandas"] == version("pandas")
    assert f"mlflow=={version('mlflow')}" in list_requirements()
    assert not [line for line in list_requirements() if "python" in line]


def test_the_same_is_made_of_the_same() -> None:
    """Whatever the order in which it is told; and anything else makes something else."""
    parameters = {"max_depth": 5, "seed": 1}
    recipe = digest_recipe(parameters, "a" * 64)
    assert recipe == digest_recipe(dict(reversed(parameters.items())), "a" * 64)
    others = [digest_recipe({**parameters, "seed": 2}, "a" * 64), digest_recipe(parameters, "b" * 64)]
    assert len({recipe, *others}) == 3


def test_a_commit_names_its_data_set(tmp_path: Path) -> None:
    """Or it does not, or there is no such commit."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "dvc.lock").write_text(f"      md5: {'a' * 32}\n      size: 1\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert is_locked(tmp_path, "HEAD", "a" * 32)
    assert not is_locked(tmp_path, "HEAD", "b" * 32)
    assert not is_locked(tmp_path, "unknown", "a" * 32)
