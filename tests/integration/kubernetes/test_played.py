"""The rendered Deployment runs: with Podman in the kubelet's place, and an image that was built on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from app import __version__
from delivery.baked_model import let_all_read
from delivery.engine import Engine
from tests.boosters import make_model
from tests.integration.kubernetes.rendering import Object, render
from tests.integration.kubernetes.tools import missing
from tests.manifests import K8S, env_file
from tests.processes import free_port
from tests.service.problems import GOOD
from tests.services import wait

pytestmark = pytest.mark.kubernetes

_IMAGE = f"localhost/treeserve:{__version__}"
_GRACE_S = float(env_file(K8S / "base" / "settings.env")["TREESERVE_SHUTDOWN_GRACE_S"])
_PATIENCE_S = 40  # terminationGracePeriodSeconds


def podman(*arguments: str) -> str:
    """What it says."""
    command = ["podman", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@dataclass(frozen=True)
class Pod:
    """One that runs."""

    name: str
    url: str

    def inspect(self) -> dict[str, Any]:
        """What Podman knows of its container."""
        found: list[dict[str, Any]] = json.loads(podman("container", "inspect", f"{self.name}-treeserve"))
        return found[0]

    def get(self, path: str) -> httpx2.Response:
        """An answer, over a connection of its own."""
        return httpx2.get(self.url + path, trust_env=False)

    def predict(self) -> httpx2.Response:
        """The answer to an instance."""
        return httpx2.post(f"{self.url}/predict", json={"instances": [GOOD]}, trust_env=False)


def write_overlay(folder: Path, model: Path, port: int) -> None:
    """As an operator would: the overlay as it is, with a model from a folder instead of a registry."""
    model_volume = {"name": "model", "hostPath": {"path": str(model), "type": "Directory"}}
    changes = [
        {"op": "replace", "path": "/spec/replicas", "value": 1},
        {"op": "add", "path": "/spec/template/spec/volumes/-", "value": model_volume},
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/volumeMounts/-",
            "value": {"name": "model", "mountPath": "/model", "readOnly": True},
        },
        {"op": "add", "path": "/spec/template/spec/containers/0/ports/0/hostPort", "value": port},
        {"op": "add", "path": "/spec/template/spec/containers/0/ports/0/hostIP", "value": "127.0.0.1"},
    ]
    overlay = {
        "resources": [os.path.relpath(K8S / "overlays" / "cpu", folder)],
        "nameSuffix": f"-{port}",
        "configMapGenerator": [
            {
                "name": "treeserve",
                "namespace": "treeserve",
                "behavior": "merge",
                "literals": ["TREESERVE_MODEL_URI=/model"],
            }
        ],
        "patches": [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(changes)}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    """The overlay's, with a small model, ready."""
    if lacking := missing():
        pytest.skip(f"not installed: {', '.join(lacking)} (make k8s-check)")
    if not shutil.which("podman"):
        pytest.skip("Podman is not installed")
    if not Engine("podman").has(_IMAGE):
        pytest.skip(f"there is no image {_IMAGE}")
    model = make_model().write(tmp_path / "model")
    let_all_read(model)
    port = free_port()
    write_overlay(tmp_path, model, port)
    played: list[Object] = [one for one in render(tmp_path) if one["kind"] in ("ConfigMap", "Deployment")]
    file = tmp_path / "played.yaml"
    file.write_text(yaml.safe_dump_all(played), encoding="utf-8")
    try:
        podman("kube", "play", str(file))
        made = Pod(f"treeserve-{port}-pod-0", f"http://127.0.0.1:{port}")
        for _ in wait(60, every_s=0.2):
            try:
                if made.get("/readyz").status_code == 200:
                    break
            except httpx2.TransportError:
                continue
        yield made
    finally:
        podman("kube", "down", str(file))


def test_the_rendered_deployment_serves_and_ends_in_time(pod: Pod) -> None:
    """As another user, on a root that is read only, without capabilities; and answers until its grace is over."""
    inspected = pod.inspect()
    host = inspected["HostConfig"]
    assert inspected["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"]
    assert inspected["EffectiveCaps"] in (None, [])
    assert host["Memory"] == 1 << 30
    assert "no-new-privileges" in host["SecurityOpt"]
    assert pod.predict().status_code == 200

    # The container alone, for with the pod its network would go at once; by a signal alone it would be started again.
    container = f"{pod.name}-treeserve"
    with subprocess.Popen(["podman", "stop", "--time", str(_PATIENCE_S), container]) as stopping:
        for _ in wait(_GRACE_S, every_s=0.05):
            if pod.get("/readyz").status_code == 503:
                break
        answer = pod.predict()
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert stopping.wait(_PATIENCE_S) == 0
    assert pod.inspect()["State"]["ExitCode"] == 0
