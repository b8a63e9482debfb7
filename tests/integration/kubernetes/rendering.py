"""The manifests as Kustomize puts them together, and what they say of each other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.integration.kubernetes.tools import KUSTOMIZE
from tests.manifests import K8S, POD_KINDS

OVERLAYS = sorted(str(file.parent.relative_to(K8S)) for file in (K8S / "overlays").rglob("kustomization.yaml"))
OVERLAYS.append("kserve")
# Not made by the manifests: whoever operates them makes these.
SECRETS = {"treeserve", "treeserve-elasticsearch"}

Object = dict[str, Any]
_KINDS = (*POD_KINDS, "InferenceService")


def render(folder: Path) -> list[Object]:
    """What a kustomization makes; it must not warn of anything either."""
    ended = subprocess.run([KUSTOMIZE, "build", folder], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return list(yaml.safe_load_all(ended.stdout))


def find_loose_ends(objects: list[Object]) -> set[str]:
    """What is named by one object and is not there, or finds nothing; such a thing is applied without a word."""
    found = set()
    names = {(one["kind"], one["metadata"]["name"]) for one in objects} | {("Secret", name) for name in SECRETS}
    pods = {one["metadata"]["name"]: _template_of(one) for one in objects if one["kind"] in _KINDS}
    for one in objects:
        here = f"{one['kind']} {one['metadata']['name']}"
        found |= {f"{here}: no {kind} {name}" for kind, name in _named(one) if (kind, name) not in names}
        for labels in _selectors(one):
            if not labels or not any(labels.items() <= pod["metadata"]["labels"].items() for pod in pods.values()):
                found.add(f"{here}: finds no pods")
        found |= {f"{here}: {fault}" for fault in _unserved(one, objects)}
    return found


def _template_of(workload: Object) -> Object:
    spec = workload["spec"]
    if workload["kind"] == "InferenceService":  # its labels are its pods'
        return {"metadata": workload["metadata"], "spec": spec["predictor"]}
    template: Object = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return template


def _named(one: Object) -> Iterator[tuple[str, str]]:
    spec = one.get("spec", {})
    if one["kind"] in _KINDS:
        pod = _template_of(one)["spec"]
        if "serviceAccountName" in pod:
            yield "ServiceAccount", pod["serviceAccountName"]
        for container in pod["containers"]:
            yield from (
                ("ConfigMap", it["configMapRef"]["name"]) for it in container["envFrom"] if "configMapRef" in it
            )
            yield from (("Secret", it["secretRef"]["name"]) for it in container["envFrom"] if "secretRef" in it)
            for variable in container.get("env", []):
                if secret := variable.get("valueFrom", {}).get("secretKeyRef"):
                    yield "Secret", secret["name"]
        for volume in pod["volumes"]:
            if "configMap" in volume:
                yield "ConfigMap", volume["configMap"]["name"]
            if "secret" in volume:
                yield "Secret", volume["secret"]["secretName"]
            if "persistentVolumeClaim" in volume:
                yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    elif one["kind"] == "HorizontalPodAutoscaler":
        yield spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]
    elif one["kind"] == "HTTPRoute":
        yield from (("Service", backend["name"]) for rule in spec["rules"] for backend in rule["backendRefs"])


def _selectors(one: Object) -> Iterator[Mapping[str, str]]:
    spec = one.get("spec", {})
    if one["kind"] == "Service":
        yield spec["selector"]
    elif one["kind"] in ("PodDisruptionBudget", "Deployment", "DaemonSet"):
        yield spec["selector"].get("matchLabels", {})
    elif one["kind"] == "NetworkPolicy":
        yield spec["podSelector"].get("matchLabels", {})
    if one["kind"] in ("Deployment", "InferenceService"):
        for constraint in _template_of(one)["spec"]["topologySpreadConstraints"]:
            yield constraint["labelSelector"]["matchLabels"]


def _unserved(one: Object, objects: list[Object]) -> Iterator[str]:
    """Ports and Services that are asked for and not there."""
    services = [it for it in objects if it["kind"] == "Service"]
    spec = one.get("spec", {})
    if one["kind"] == "Service":
        for port in spec["ports"]:
            for workload in objects:
                labels = _template_of(workload)["metadata"]["labels"] if workload["kind"] in _KINDS else {}
                if spec["selector"].items() <= labels.items():
                    named = {
                        p["name"] for c in _template_of(workload)["spec"]["containers"] for p in c.get("ports", [])
                    }
                    if port["targetPort"] not in named:
                        yield f"{workload['metadata']['name']} has no port {port['targetPort']}"
    elif one["kind"] == "ServiceMonitor":
        wanted = spec["selector"]["matchLabels"].items()
        found = [it for it in services if wanted <= it["metadata"]["labels"].items()]
        if len(found) != 1:
            yield f"finds {len(found)} Services"
        for endpoint in spec["endpoints"]:
            if any(endpoint["port"] not in {port["name"] for port in it["spec"]["ports"]} for it in found):
                yield f"its Service has no port {endpoint['port']}"
    elif one["kind"] == "HTTPRoute":
        open_ports = {(it["metadata"]["name"], port["port"]) for it in services for port in it["spec"]["ports"]}
        for backend in (backend for rule in spec["rules"] for backend in rule["backendRefs"]):
            if (backend["name"], backend["port"]) not in open_ports:
                yield f"{backend['name']} has no port {backend['port']}"
