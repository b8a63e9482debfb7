"""The training side's image: what a scheduled job runs, with a store to write into and nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from delivery.engine import Engine
from tests.image.containers import LOCKED_DOWN, run_once

pytestmark = pytest.mark.image


def test_it_trains_and_says_of_which_commit(engine: Engine, training: str, tmp_path: Path) -> None:
    """No network, a read-only root; in the end a model version is in the store, with the image's commit."""
    tmp_path.chmod(0o777)
    folders = ["--volume", f"{tmp_path}:/store:rw", "--workdir", "/store", "--tmpfs", "/tmp:mode=1777"]  # noqa: S108
    options = (*LOCKED_DOWN, *folders, "--memory", "1g", "--env", "MLFLOW_TRACKING_URI=sqlite:////store/mlflow.db")
    command = ("python", "-m", "model", "train", "--rounds", "3")
    ended = run_once(engine, training, *command, options=(*options, "--env", "PYTHONPATH=/srv/treeserve"))
    assert ended.returncode == 0, ended.stderr
    assert "flight-delay version 1, alias champion" in ended.stdout
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        tags = dict(store.execute("select key, value from tags"))
    labels = engine.inspect(training)["Config"]["Labels"]
    assert tags["git_commit"] == labels["org.opencontainers.image.revision"]
