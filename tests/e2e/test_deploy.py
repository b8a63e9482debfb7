"""`make deploy` with a kubectl that stands for a cluster, and real services for its pods."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import servers
from tests.e2e.servers import Server
from tests.processes import PROJECT, run_process, wait_for_exit

OLD = f"ghcr.io/somebody/treeserve@sha256:{'0' * 64}"
NEW = f"ghcr.io/somebody/treeserve@sha256:{'1' * 64}"
SMALL_PATIENCE = """
import sys
import delivery.deploy
delivery.deploy._BETWEEN_S = 0.01
from delivery.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Cluster:
    """What kubectl speaks of."""

    folder: Path

    @property
    def state(self) -> dict[str, Any]:
        """The Deployment, and the commands so far."""
        found: dict[str, Any] = json.loads((self.folder / "state").read_text())
        return found

    def begin(self, **changes: Any) -> None:
        """The old image runs, in two pods, after two revisions before it."""
        state = {"image": OLD, "revision": 3, "images": {"3": OLD}, "n_pods": 2, "never_ready": [], "calls": []}
        (self.folder / "state").write_text(json.dumps(state | changes))

    @property
    def environment(self) -> dict[str, str]:
        """With its kubectl before any other."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "FAKE_KUBECTL": str(self.folder / "state"), "PYTHONWARNINGS": "error"}

    def deploy(self, image: str) -> subprocess.CompletedProcess[str]:
        """Deploy it as `make deploy` does, with short breaks."""
        command = [sys.executable, "-c", SMALL_PATIENCE, "deploy", image]
        return subprocess.run(
            command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(f"#!{sys.executable}\n{(Path(__file__).parent / 'kubectl.py').read_text()}")
    kubectl.chmod(0o755)
    return Cluster(tmp_path)


@pytest.fixture(scope="module")
def service(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that is ready."""
    with servers(model_folder, tmp_path_factory.mktemp("service")) as start:
        server = start()
        server.wait_until_ready()
        yield server


def changing(calls: list[str]) -> list[str]:
    """The commands that change something."""
    return [call.split(maxsplit=2)[2] for call in calls if " set " in call or " undo " in call]


def test_an_image_that_predicts_stays(cluster: Cluster, service: Server) -> None:
    """Each of its pods was asked."""
    cluster.begin(ports={NEW: service.port})
    ended = cluster.deploy(NEW)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert cluster.state["image"] == NEW
    assert changing(cluster.state["calls"]) == [f"set image deployment/treeserve treeserve={NEW}"]
    assert [line.split()[0] for line in ended.stdout.splitlines() if "predicts by" in line] == ["pod-0", "pod-1"]
    assert any('"smoke-test-' in line for line in service.output.splitlines())


def test_an_image_that_does_not_become_ready_is_taken_back(cluster: Cluster, service: Server) -> None:
    cluster.begin(ports={NEW: service.port}, never_ready=[NEW])
    ended = cluster.deploy(NEW)
    assert ended.returncode == 1
    assert "progress deadline" in ended.stderr
    assert "the log of pod/pod-0" in ended.stdout
    assert cluster.state["image"] == OLD
    assert changing(cluster.state["calls"])[1:] == ["rollout undo deployment/treeserve --to-revision=3"]
    assert "rollout status" in cluster.state["calls"][-1]  # the old pods are waited for


@pytest.mark.parametrize("port", [1, None], ids=["nobody listens", "no forwarding"])
def test_an_image_that_does_not_predict_is_taken_back(cluster: Cluster, port: int | None) -> None:
    """After several tries."""
    cluster.begin(ports={NEW: port})
    ended = cluster.deploy(NEW)
    assert ended.returncode == 1
    assert ended.stdout.count("once more: pod-0") == 2
    assert cluster.state["image"] == OLD


def test_an_image_that_no_pod_runs_is_taken_back(cluster: Cluster, service: Server) -> None:
    cluster.begin(ports={NEW: service.port}, n_pods=0)
    ended = cluster.deploy(NEW)
    assert (ended.returncode, cluster.state["image"]) == (1, OLD)
    assert "no pod runs" in ended.stderr


def test_a_rollback_that_fails_is_told(cluster: Cluster) -> None:
    cluster.begin(ports={NEW: 1}, never_ready=[OLD])
    ended = cluster.deploy(NEW)
    assert ended.returncode == 1
    assert "revision 3 does not come back either" in ended.stderr


def test_what_runs_already_is_tried_and_never_taken_back(cluster: Cluster) -> None:
    """The revision before it is another image, which nobody asked for."""
    cluster.begin(ports={OLD: 1})
    ended = cluster.deploy(OLD)
    assert ended.returncode == 1
    assert changing(cluster.state["calls"]) == []


@pytest.mark.parametrize("image", ["treeserve:0.2.0", "treeserve@sha256:12", "", f"treeserve:1@sha256:{'g' * 64}"])
def test_only_a_digest_is_deployed(cluster: Cluster, image: str) -> None:
    cluster.begin()
    ended = cluster.deploy(image)
    assert (ended.returncode, cluster.state["calls"]) == (1, [])


def test_a_deployment_that_is_told_to_end_goes_back(cluster: Cluster) -> None:
    """Here while it waits for an answer."""
    command = [sys.executable, "-m", "delivery", "deploy", NEW]
    environment = cluster.environment | {"PYTHONPATH": str(PROJECT)}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster.begin(ports={NEW: silent.getsockname()[1]})
        with run_process(command, environment, cluster.folder / "output") as process:
            silent.settimeout(20)
            asked, _ = silent.accept()
            with asked:
                process.send_signal(signal.SIGTERM)
                assert wait_for_exit(process, 20) != 0
    assert cluster.state["image"] == OLD
