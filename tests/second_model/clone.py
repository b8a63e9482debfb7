"""A clone of the project in which somebody has brought a model of their own, by changing `model/` alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.clone import copy_project
from tests.processes import PROJECT, clean_environment

NAME = "seattle-weather"
# As docs/training.md leads through it: `names.py`, and `params.yaml`.
CHANGES = {
    "names.py": {'MODEL_NAME = "flight-delay"': f'MODEL_NAME = "{NAME}"', 'PROJECT = "flights"': 'PROJECT = "weather"'},
    "params.yaml": {
        'until: "2013-12"': 'until: "2015-12"',
        'stop_from: "2013-09-01"': 'stop_from: "2014-07-01"',
        'test_from: "2013-11-01"': 'test_from: "2015-01-01"',
        "min_child_weight: 20.0": "min_child_weight: 5.0",
    },
}


@dataclass(frozen=True)
class Clone:
    """The clone, and the MLflow that its commands use."""

    folder: Path
    uri: str

    def run(self, *command: str | Path) -> str:
        """What a command says that is run in it, and that must succeed."""
        environment = clean_environment(self.folder.parent, MLFLOW_TRACKING_URI=self.uri)
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        ended = subprocess.run(
            list(map(str, command)), cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


def bring_model(folder: Path, uri: str) -> Clone:
    """Copy the project, put the second model's folder into `model/`, and change what the document says."""
    clone = Clone(copy_project(folder / "clone"), uri)
    shutil.copytree(PROJECT / "tests" / "second_model" / "weather", clone.folder / "model" / "weather")
    apply_changes(clone.folder)
    return clone


def apply_changes(clone: Path) -> None:
    """Make the changes in the files that are there."""
    for name, changes in CHANGES.items():
        file = clone / "model" / name
        text = file.read_text(encoding="utf-8")
        for before, after in changes.items():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        file.write_text(text, encoding="utf-8")
