"""The commands that are given a cluster."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.registry.store import PROJECT_ROOT
from model.__main__ import main
from model.distributed.cluster import Cluster
from tests.dask_clusters import RunningCluster, run_cluster
from tests.integration.distributed.jobs import CHAMPION, N_PARTITIONS, read_files
from tests.integration.mlflow_store import load_mlflow, restored_tracking_uri
from tests.integration.training import Trained
from tests.processes import clean_environment

# MLflow 3.17 itself, as it writes an input example with pandas 3.
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_the_commands_train_register_and_score_on_a_cluster(
    cluster: Cluster, running: RunningCluster, sample: Path, instances: Path, tmp_path: Path,
    empty_database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The model version says how many workers had a part in it, and is found again by as many."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    running.have(2, cluster.client)
    arguments = ["train", "--dask", running.address, "--data", str(sample), "--rounds", "30"]
    with restored_tracking_uri():
        assert main(arguments) == 0
        assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "flight-delay version 1 was trained with the same parameters on the same data" in told
    client = load_mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)
    version = client.get_model_version_by_alias("flight-delay", "champion")
    assert client.get_run(version.run_id).data.params["workers"] == "2"
    assert main(["score", CHAMPION, str(instances), str(tmp_path / "out")]) == 0
    assert f"in {N_PARTITIONS} partition(s)" in capsys.readouterr().out
    assert main(["score", CHAMPION, str(tmp_path), str(tmp_path / "out")]) == 1
    assert "a folder of their own" in capsys.readouterr().err


@pytest.mark.slow
def test_certificates_are_dasks_own_matter(trained: Trained, instances: Path, cache: Path, tmp_path: Path) -> None:
    """Its environment variables say where they are; who has none is not let in."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=treeserve", "-days", "2"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    prefix = "DASK_DISTRIBUTED__COMM__"
    tls = {prefix + "REQUIRE_ENCRYPTION": "true", prefix + "TLS__CA_FILE": str(certificate)}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        tls |= {f"{prefix}TLS__{role}__CERT": str(certificate), f"{prefix}TLS__{role}__KEY": str(key)}
    own = {"MLFLOW_TRACKING_URI": trained.uri, "TREESERVE_CACHE_DIR": str(cache / "workers")}
    with run_cluster(tmp_path / "cluster", "one", variables=tls | own, protocol="tls") as running:
        score = [sys.executable, "-m", "model", "score", "--dask", running.address, CHAMPION]
        command = [*score, str(instances), str(tmp_path / "out")]

        def run(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
            environment = clean_environment(tmp_path, **variables)
            return subprocess.run(
                command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120, check=False
            )

        stranger = run(own)
        assert (stranger.returncode, stranger.stderr.count("\n")) == (1, 1)
        assert "no Dask scheduler answers at tls://" in stranger.stderr
        assert run(own | tls).returncode == 0
    assert len(read_files(tmp_path / "out")) == N_PARTITIONS
