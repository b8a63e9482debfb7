"""Every overlay, as a real API server of the newest Kubernetes takes it: its schemas, its admission, its defaults."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.processes import PROJECT

pytestmark = pytest.mark.cluster
K8S = PROJECT / "k8s"
OVERLAYS = sorted(file.parent for file in (K8S / "overlays").rglob("kustomization.yaml"))
_DRY = ("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename=-")


def render(control_plane: ControlPlane, overlay: Path) -> list[Any]:
    """An overlay's objects, without those of kinds that are not defined here."""
    groups = json.loads(control_plane.kubectl("get", "--raw", "/apis"))["groups"]
    known = {version["groupVersion"] for group in groups for version in group["versions"]} | {"v1"}
    documents = yaml.safe_load_all(control_plane.kubectl("kustomize", str(overlay)))
    return [document for document in documents if document["apiVersion"] in known]


def make_namespaces(control_plane: ControlPlane, objects: list[Any]) -> None:
    """Make those that the objects are in, for what is in none is refused."""
    for document in objects:
        if document["kind"] == "Namespace":
            control_plane.kubectl("apply", "--filename=-", given=document)


def as_list(objects: list[Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": objects}


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda overlay: str(overlay.relative_to(K8S / "overlays")))
def test_the_api_server_takes_every_object_of_an_overlay(control_plane: ControlPlane, overlay: Path) -> None:
    """Without a warning, such as one of a field that is unknown or outdated, or of a pod that may do too much."""
    objects = render(control_plane, overlay)
    make_namespaces(control_plane, objects)
    taken = control_plane.kubectl(*_DRY, "--output=name", given=as_list(objects)).splitlines()
    assert len(taken) == len(objects) > 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"readOnlyRootFileSystem": True}, "unknown field"),
        ({"capabilities": {"drop": []}}, "unrestricted capabilities"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation != false"),
    ],
)
def test_the_api_server_would_say_what_is_wrong(
    control_plane: ControlPlane, change: dict[str, Any], reason: str
) -> None:
    """Planted faults: what the test above relies on."""
    objects = render(control_plane, K8S / "overlays" / "cpu")
    make_namespaces(control_plane, objects)
    (deployment,) = (copy.deepcopy(document) for document in objects if document["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"] |= change
    refused = control_plane.try_kubectl(*_DRY, given=deployment)
    assert refused.returncode != 0
    assert reason in refused.stderr


def test_a_cron_job_can_be_run_by_hand(control_plane: ControlPlane) -> None:
    """What it would make is taken too: its pods are no less restricted than others of the namespace."""
    objects = render(control_plane, K8S / "overlays" / "production")
    make_namespaces(control_plane, objects)
    jobs = [document for document in objects if document["kind"] == "CronJob"]
    assert {job["spec"]["concurrencyPolicy"] for job in jobs} == {"Forbid"}
    control_plane.kubectl("apply", "--filename=-", given=as_list(jobs))
    for job in jobs:
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        make = ["create", "job", f"{name}-by-hand", f"--from=cronjob/{name}", f"--namespace={namespace}"]
        control_plane.kubectl(*make, "--dry-run=server", "--warnings-as-errors")
