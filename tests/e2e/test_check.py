"""`treeserve check` finds out what the service would, before it serves."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.boosters import ModelFolderBuilder
from tests.e2e.conftest import TREESERVE
from tests.processes import clean_environment


def check(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a cache folder of its own."""
    environment = clean_environment(home, TREESERVE_CACHE_DIR=str(home / "cache"), **variables)
    command = [TREESERVE, "check", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_version_that_may_serve_is_told_and_kept(model_folder: Path, tmp_path: Path) -> None:
    """With what evaluates it; the service then starts from what was prepared."""
    ended = check(tmp_path, str(model_folder))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("model version ")
    assert "may serve; kernel" in ended.stdout
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 1
    assert check(tmp_path, TREESERVE_MODEL_URI=str(model_folder)).stdout == ended.stdout


def test_a_version_that_may_not_serve_is_told(champion: ModelFolderBuilder, tmp_path: Path) -> None:
    """With the reason, and a status that a script sees."""
    folder = champion.write(tmp_path / "model")
    (folder / "extra_files" / "golden.json").write_text("{}")
    ended = check(tmp_path, str(folder))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"treeserve check: {folder} cannot serve: ")
    assert "golden.json" in ended.stderr


def test_a_setting_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """As the service does."""
    ended = check(tmp_path, TREESERVE_PORT="x")
    assert ended.returncode == 2
    assert "TREESERVE_PORT" in ended.stderr
