"""`make deploy`, under load, by somebody who may do no more than docs/delivery.md says that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.callers import Callers
from tests.cluster.control_plane import ADMINISTRATOR
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.images import PAUSE_IMAGE
from tests.cluster.tools import KUBERNETES
from tests.processes import PROJECT, clean_environment

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

_NAME = "deployer"
_RULES = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create"]},
]

Deploy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def deploy(deployment: Deployment, tmp_path: Path) -> Iterator[Deploy]:
    """Deploy an image as an account with those rights; the overlay's own is back in the end."""
    objects: list[dict[str, Any]] = [
        {"kind": "ServiceAccount", "apiVersion": "v1"},
        {"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1", "rules": _RULES},
        {
            "kind": "RoleBinding",
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": NAMESPACE}],
            "roleRef": {"kind": "Role", "name": _NAME, "apiGroup": "rbac.authorization.k8s.io"},
        },
    ]
    plane = deployment.cluster.plane
    for each in objects:
        plane.kubectl("apply", "--filename=-", given=each | {"metadata": {"name": _NAME, "namespace": NAMESPACE}})
    config = json.loads(plane.kubeconfig(ADMINISTRATOR).read_text())
    config["users"][0]["user"] = {"token": deployment.kubectl("create", "token", _NAME).strip()}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    environment = clean_environment(tmp_path) | {"KUBECONFIG": str(tmp_path / "kubeconfig")}
    environment["PATH"] = f"{KUBERNETES.folder}:{environment['PATH']}"

    def run(image: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "delivery", "deploy", image, *options]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=600
        )

    yield run
    deployment.apply()
    deployment.wait()


def by_digest(deployment: Deployment, image: str, name: str) -> str:
    """Have the nodes know an image of theirs by its digest, under a name."""
    (digest,) = {node.digest(image) for node in deployment.cluster.nodes}
    for node in deployment.cluster.nodes:
        node.tag(image, f"{name}@{digest}")
    return f"{name}@{digest}"


def images(deployment: Deployment) -> set[str]:
    """What the pods run."""
    return {pod["spec"]["containers"][0]["image"] for pod in deployment.pods()}


def test_an_image_is_deployed_by_its_digest(deployment: Deployment, callers: Callers, deploy: Deploy) -> None:
    """`make deploy` rolls an image out by its digest."""
    image = by_digest(deployment, deployment.cluster.image, "localhost/released")
    with callers.asking("each new pod has predicted before it ends with status 0"):
        ended = deploy(image)
        deployment.wait()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("predicts by flight-delay 1") == len(deployment.pods())
    assert ended.stdout.splitlines()[-1] == f"{image} serves"
    assert images(deployment) == {image}


def test_an_image_that_does_not_serve_is_taken_back(deployment: Deployment, callers: Callers, deploy: Deploy) -> None:
    """`make deploy` is given an image whose pods never become ready."""
    before, image = images(deployment), by_digest(deployment, PAUSE_IMAGE, "localhost/broken")
    with callers.asking("it takes the image back, says so, and ends with status 1"):
        ended = deploy(image, "--timeout", "20")
        deployment.wait()
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"{image} does not serve, and {min(before)} does again" in ended.stderr
    assert images(deployment) == before
