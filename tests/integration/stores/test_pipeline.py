"""
`dvc repro` on a clean clone, over the whole year: it makes what dvc.lock says, byte by byte.

DVC itself runs it, and keeps the data in an S3.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.artifacts import Card, read_artifact
from app.registry.registry import MlflowRegistry
from model.datasets.parquet import dvc_digest
from model.names import STAGES
from tests.clone import copy_project
from tests.integration.stores.conftest import ENVIRONMENT
from tests.integration.stores.object_store import ObjectStore
from tests.processes import clean_environment

pytestmark = [pytest.mark.stores, pytest.mark.alone, pytest.mark.example]


@dataclass(frozen=True)
class Clone:
    """A clone, with a home and a registry of its own."""

    folder: Path
    dvc: Path

    def run(self, *command: str | Path, **variables: str) -> str:
        """What a command says that is run in it."""
        environment = clean_environment(self.folder.parent, MLFLOW_TRACKING_URI=self.registry, **variables)
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        ended = subprocess.run(
            list(map(str, command)), cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
            timeout=600,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def repro(self) -> str:
        """What the pipeline says."""
        return self.run(self.dvc, "--cd", "model", "repro")

    @property
    def registry(self) -> str:
        """MLflow's address."""
        return f"sqlite:///{self.folder.parent / 'mlflow' / 'mlflow.db'}"

    @property
    def lock(self) -> Any:
        """What DVC has written down of each stage."""
        return yaml.safe_load((self.folder / "model" / "dvc.lock").read_text())["stages"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The project, committed, with nothing that git does not have."""
    clone = Clone(
        copy_project(tmp_path_factory.mktemp("pipeline") / "treeserve"), Path(sys.executable).with_name("dvc")
    )
    clone.run("git", "init", "--quiet")
    clone.run("git", "add", ".")
    clone.run("git", "commit", "--quiet", "--message", "all of it")
    return clone


@pytest.fixture(scope="module")
def said(clone: Clone) -> str:
    """What the pipeline has said when it was run the first time."""
    return clone.repro()


def test_the_same_commit_makes_the_same_bytes(clone: Clone, said: str) -> None:
    """Months, data set, booster, reports: git sees no change, and dvc.lock has the digest of each."""
    assert "Running stage 'train'" in said
    assert clone.run("git", "status", "--porcelain") == ""
    assert list(clone.lock) == list(STAGES)


def test_the_model_version_says_of_which_data_it_is(clone: Clone, said: str) -> None:
    """By DVC's digest of the data set, in the card that the service shows and in MLflow's run."""
    registry = MlflowRegistry(clone.registry, clone.folder.parent / "cache")
    version = registry.resolve("models:/flight-delay@champion")
    assert (version.version, f"version 1 at {clone.registry}" in said) == ("1", True)
    card = read_artifact(Card, registry.fetch(version) / "extra_files" / "card.json")
    assert card is not None
    (prepared,) = clone.lock["prepare"]["outs"]
    assert card.data.dvc == prepared["md5"]
    assert card.data.dvc == dvc_digest((clone.folder / prepared["path"]).read_bytes())
    fitted = json.loads((clone.folder / "model" / "reports" / "metrics.json").read_text())
    assert card.metrics["test_auc"] == pytest.approx(fitted["test_auc"], abs=1e-6)
    assert fitted["test_auc"] > 0.68


def test_a_prediction_leads_back_to_code_and_data(clone: Clone, said: str) -> None:
    """By the commit and what its dvc.lock names."""
    run_id = MlflowRegistry(clone.registry, clone.folder.parent / "cache").resolve("models:/flight-delay/1").run_id
    line = {
        "@timestamp": "2026-01-01T00:00:00.000000Z",
        "event.dataset": "treeserve.prediction",
        "event.duration": 1000,
        "http.request.id": "asked",
        "treeserve.request.instance": 0,
        "treeserve.prediction": 0.5,
        "treeserve.model.name": "flight-delay",
        "treeserve.model.version": "1",
        "treeserve.model.run_id": run_id,
    }
    log = clone.folder.parent / "payload.log"
    log.write_text(json.dumps(line) + "\n")
    *_, digest, commit, again = clone.run(sys.executable, "-m", "model", "trace", "asked", log).splitlines()
    head = clone.run("git", "rev-parse", "HEAD").strip()
    assert digest.split() == ["DVC's", "digest", clone.lock["prepare"]["outs"][0]["md5"]]
    assert commit.split() == ["commit", head]
    assert again == f"again     git checkout {head} && dvc pull model/data/prepared.parquet"


def test_nothing_is_done_twice(clone: Clone, said: str) -> None:
    """Neither by the pipeline, nor by `python -m model train`, which makes the same at once."""
    again = clone.repro()
    assert "Running stage 'train'" not in again
    assert "flight-delay version 1 was trained with the same parameters on the same data" in again
    trained = clone.run(sys.executable, "-m", "model", "train")
    assert "flight-delay version 1, alias champion" in trained


def test_a_changed_parameter_is_compared(clone: Clone, said: str) -> None:
    """`dvc metrics diff` and `dvc plots diff` between what is committed and what is there."""
    parameters = clone.folder / "model" / "params.yaml"
    parameters.write_text(parameters.read_text().replace("rounds: 800", "rounds: 20"))
    try:
        repeated = clone.repro()
        assert "Stage 'prepare' didn't change, skipping" in repeated
        assert "version 2 at" in repeated
        changes = json.loads(clone.run(clone.dvc, "metrics", "diff", "--json"))["model/reports/metrics.json"]
        assert changes["test_auc"]["diff"] < -0.001
        clone.run(clone.dvc, "plots", "diff", "--out", clone.folder.parent / "plots")
        page = (clone.folder.parent / "plots" / "index.html").read_text()
        assert "true_positive_rate" in page
        assert "AUC by month" in page
        assert "train.rounds" in clone.run(clone.dvc, "params", "diff")
    finally:
        clone.run("git", "checkout", "--quiet", "model")
        clone.run(clone.dvc, "checkout", "--quiet")


def test_the_data_is_kept_where_one_setting_says(clone: Clone, said: str, object_store: ObjectStore) -> None:
    """In an S3, say: another clone has it from there, and need make nothing."""
    dvc = ENVIRONMENT / "bin" / "dvc"  # with its client of S3
    variables = object_store.variables | {"AWS_ENDPOINT_URL": object_store.url}
    clone.run(dvc, "remote", "modify", "--local", "store", "url", f"s3://{object_store.bucket}/data")
    clone.run(dvc, "push", **variables)
    assert len(object_store.keys("data/files/md5")) > len(clone.lock)
    other = Clone(clone.folder.parent / "other" / "treeserve", dvc)
    other.folder.parent.mkdir()
    clone.run("git", "clone", "--quiet", clone.folder, other.folder)
    other.run(dvc, "remote", "modify", "--local", "store", "url", f"s3://{object_store.bucket}/data")
    other.run(dvc, "pull", **variables)
    assert (other.folder / "model" / "data" / "fitted" / "model.ubj").is_file()
    changed = json.loads(other.run(dvc, "status", "--json"))
    assert changed == {"model/dvc.yaml:register": ["always changed"]}
