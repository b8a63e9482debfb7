"""The manifests of `k8s/` as they are written, before Kustomize puts them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.processes import PROJECT

K8S = PROJECT / "k8s"
POD_KINDS = ("CronJob", "DaemonSet", "Deployment")


def files(pattern: str = "*.yaml") -> list[Path]:
    """All of them, by their names."""
    return sorted(K8S.rglob(pattern))


def documents(file: Path) -> list[dict[str, Any]]:
    """The objects of a file."""
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def objects(*kinds: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every object of some kinds, with its file; what changes another one is in files that are called so."""
    for file in files():
        if file.name.endswith(".patch.yaml"):
            continue
        for document in documents(file):
            if document.get("kind") in kinds:
                yield file, document


def pod_of(workload: Mapping[str, Any]) -> dict[str, Any]:
    """What its pods are to be: the spec of a Deployment's, a DaemonSet's or a CronJob's."""
    spec = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    pod: dict[str, Any] = spec["template"]["spec"]
    return pod


def containers() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every container: where it stands, its pod and itself."""
    for file, workload in objects(*POD_KINDS):
        pod = pod_of(workload)
        for container in pod.get("initContainers", []) + pod.get("containers", []):
            yield f"{file.relative_to(K8S)}:{container['name']}", pod, container


def env_file(path: Path) -> dict[str, str]:
    """The variables of a file that a ConfigMap is made of."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
