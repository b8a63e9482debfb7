"""The service as `k8s/overlays/cpu` deploys it, and callers of its Service who look at every answer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.cluster.cluster import Cluster
from tests.e2e.faults.load import Load
from tests.e2e.faults.registry import Registry
from tests.processes import PROJECT
from tests.services import wait

NAMESPACE = "treeserve"
OVERLAY = PROJECT / "k8s" / "overlays" / "cpu"
_READY_WITHIN_S = 120


class Deployment:
    """An overlay of an operator's own, on top of the project's, and what comes of it."""

    def __init__(self, cluster: Cluster, registry: Registry, folder: Path) -> None:
        self.cluster, self.registry, self._folder = cluster, registry, folder

    def apply(self, image: str | None = None, **settings: str) -> None:
        """Deploy an image with settings, as a rollout if there is another one already."""
        name, _, tag = (image or self.cluster.image).rpartition(":")
        literals = {"MLFLOW_TRACKING_URI": self.registry.uri} | settings
        overlay = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": NAMESPACE,
            "resources": [os.path.relpath(OVERLAY, self._folder)],
            "configMapGenerator": [
                {
                    "name": "treeserve",
                    "behavior": "merge",
                    "literals": [f"{name}={value}" for name, value in literals.items()],
                }
            ],
            "images": [{"name": "treeserve", "newName": name, "newTag": tag}],
        }
        (self._folder / "kustomization.yaml").write_text(json.dumps(overlay))
        self.kubectl("apply", f"--kustomize={self._folder}")

    def kubectl(self, *arguments: str) -> str:
        """What kubectl says, in the namespace."""
        return self.cluster.plane.kubectl(f"--namespace={NAMESPACE}", *arguments)

    def wait(self, at_most_s: int = _READY_WITHIN_S) -> None:
        """Return once every pod is a new one and ready, and the old ones have gone."""
        assert self.is_rolled_out(at_most_s), self.story()
        for _ in wait(60, every_s=0.3):
            if len(self.pods()) == self.kubernetes("deployment", "treeserve")["spec"]["replicas"]:
                break

    def is_rolled_out(self, within_s: int) -> bool:
        """Whether every pod is a new one and ready within so many seconds."""
        status = ["rollout", "status", "deployment/treeserve", f"--timeout={within_s}s"]
        return not self.cluster.plane.try_kubectl(
            f"--namespace={NAMESPACE}", *status, at_most_s=within_s + 60
        ).returncode

    def story(self) -> str:
        """What Kubernetes tells of it, for whoever has to find out what went wrong."""
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp")
        return f"{self.kubectl('get', 'pods', '--output=wide')}\n{events[-4000:]}"

    def kubernetes(self, kind: str, name: str) -> Any:
        """An object in the namespace."""
        return self.cluster.plane.get(f"--namespace={NAMESPACE}", kind, name)

    def pods(self) -> list[Any]:
        """The service's pods, those that end included."""
        found = self.cluster.plane.get(
            f"--namespace={NAMESPACE}", "pods", "--selector=app.kubernetes.io/component=serving"
        )
        items: list[Any] = found["items"]
        return items

    def load(self, n_callers: int = 2, *, keeps: bool = True) -> Load:
        """Callers of the Service, who know the right answers."""
        service = self.kubernetes("service", "treeserve")["spec"]
        registry = self.registry
        return Load(
            [service["ports"][0]["port"]],
            registry.instances,
            registry.expected,
            n_callers,
            host=service["clusterIP"],
            keeps=keeps,
        )
