"""Each overlay renders, is what the API servers of several versions take, follows policies, and hangs together."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.integration.kubernetes.definitions import read_definitions
from tests.integration.kubernetes.rendering import OVERLAYS, Object, find_loose_ends, render
from tests.integration.kubernetes.tools import DEFINITIONS, KUBE_SCORE, VALIDATE
from tests.manifests import K8S, documents

pytestmark = pytest.mark.kubernetes

# From the oldest that docs/kubernetes.md names to the newest that there are schemas for.
VERSIONS = ["1.29", "1.31", "1.33", "1.35", "1.37"]
CUSTOM = {
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("serving.kserve.io/v1beta1", "InferenceService"),
}
Rendered = dict[str, list[Object]]


def validate(objects: list[Object], version: str, folder: Path) -> str:
    """What is wrong by a version's own schemas, to which each field is known or wrong."""
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    command = [str(VALIDATE), "--strict", "--kubernetes-version", version, str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    told = ended.stdout + ended.stderr
    assert ended.returncode or told.count(" passed for resource ") == len(objects), told
    return told if ended.returncode else ""


def score(objects: list[Object], folder: Path) -> list[str]:
    """Which policies are not followed, warnings too, but for those that an annotation gives a reason for."""
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    command = [str(KUBE_SCORE), "score", f"--kubernetes-version=v{VERSIONS[0]}", "--output-format=json", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    followed = 10
    return [
        f"{one['object_name']}: {check['check']['name']}"
        for one in json.loads(ended.stdout)
        for check in one["checks"]
        if check["grade"] < followed and not check["skipped"]
    ]


def is_custom(one: Object) -> bool:
    """Whether a cluster knows it only by a definition that somebody has put there."""
    return (one["apiVersion"], one["kind"]) in CUSTOM


def find(objects: list[Object], kind: str) -> Object:
    """The first object of a kind."""
    return next(one for one in objects if one["kind"] == kind)


def without(objects: list[Object], kind: str) -> list[Object]:
    """All others."""
    return [one for one in objects if one["kind"] != kind]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_takes_every_object(version: str, rendered: Rendered, tmp_path: Path) -> None:
    """With no field that it does not know."""
    objects = [one for overlay in rendered.values() for one in overlay if not is_custom(one)]
    assert validate(objects, version, tmp_path) == ""


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_a_field_that_a_version_does_not_know_is_found(version: str, rendered: Rendered, tmp_path: Path) -> None:
    """Or the test above would prove nothing."""
    objects = copy.deepcopy(rendered["overlays/cpu"])
    find(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    assert "readynessProbe" in validate(objects, version, tmp_path)


def test_custom_resources_are_what_their_definitions_say(rendered: Rendered) -> None:
    """With no field that they do not know."""
    definitions = read_definitions(DEFINITIONS)
    checked = set()
    for overlay in rendered.values():
        for one in filter(is_custom, overlay):
            key = one["apiVersion"], one["kind"]
            assert [error.message for error in definitions[key].iter_errors(one)] == []
            checked.add(key)
    assert checked == CUSTOM
    wrong = copy.deepcopy(find(rendered["overlays/production"], "HTTPRoute"))
    wrong["spec"]["rules"][0]["timeout"] = wrong["spec"]["rules"][0].pop("timeouts")
    assert list(definitions[wrong["apiVersion"], wrong["kind"]].iter_errors(wrong))


@pytest.mark.parametrize(
    "overlay", [name for name in OVERLAYS if name != "kserve"]
)  # whose pods kube-score does not see
def test_an_overlay_follows_policies(overlay: str, rendered: Rendered, tmp_path: Path) -> None:
    """kube-score's: limits, probes, security contexts, budgets, policies."""
    assert score(rendered[overlay], tmp_path) == []


def test_what_follows_no_policy_is_found(rendered: Rendered, tmp_path: Path) -> None:
    """Or the test above would prove nothing."""
    objects = copy.deepcopy(rendered["overlays/cpu"])
    [container] = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    container["securityContext"]["readOnlyRootFilesystem"] = False
    del container["resources"]["limits"]["memory"]
    told = score(without(objects, "PodDisruptionBudget"), tmp_path)
    assert len(told) == 3, told


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_hangs_together(overlay: str, rendered: Rendered) -> None:
    """What is named is there, and what selects finds."""
    assert find_loose_ends(rendered[overlay]) == set()


@pytest.mark.parametrize("kind", ["ConfigMap", "Service", "ServiceAccount", "PersistentVolumeClaim", "Deployment"])
def test_a_loose_end_is_found(kind: str, rendered: Rendered) -> None:
    """Or the test above would prove nothing."""
    assert find_loose_ends(without(rendered["overlays/production"], kind))


@pytest.mark.parametrize(
    "damage",
    [
        lambda objects: find(objects, "Service")["spec"]["selector"].update(a="b"),
        lambda objects: find(objects, "Service")["spec"]["ports"][0].update(targetPort="https"),
        lambda objects: find(objects, "Service")["spec"]["ports"][0].update(port=81),
        lambda objects: find(objects, "PodDisruptionBudget")["spec"].update(selector={}),
        lambda objects: find(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].update(a="b"),
        lambda objects: find(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"].update(a="b"),
        lambda objects: find(objects, "ServiceMonitor")["spec"]["endpoints"][0].update(port="metrics"),
    ],
)
def test_what_finds_nothing_is_found(damage: Callable[[list[Object]], None], rendered: Rendered) -> None:
    """A selector or a port too."""
    objects = copy.deepcopy(rendered["overlays/production"])
    damage(objects)
    assert find_loose_ends(objects)


@pytest.mark.usefixtures("rendered")
def test_all_of_it_may_have_another_name(tmp_path: Path) -> None:
    """As an operator's own overlay gives it, in another folder: names and selectors follow, beside those of another."""
    own = {
        "resources": [os.path.relpath(K8S / "base", tmp_path)],
        "components": [
            os.path.relpath(K8S / "components" / name, tmp_path)
            for name in ("cache-volume", "gateway", "hpa", "monitoring", "outcomes", "retraining")
        ],
        "namespace": "mine",
        "namePrefix": "a-",
        "nameSuffix": "-z",
        "labels": [{"pairs": {"app.kubernetes.io/instance": "z"}, "includeSelectors": True}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    objects = render(tmp_path)
    assert find_loose_ends(objects) == set()
    assert {one["metadata"]["name"][:2] + one["metadata"]["name"].split("-")[-1][:1] for one in objects} >= {"a-z"}
    assert {one["metadata"]["namespace"] for one in objects} == {"mine"}
    assert all(
        policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "z"
        for policy in objects
        if policy["kind"] == "NetworkPolicy"
    )
    assert "app.kubernetes.io/instance" in find(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    # What they may reach is not theirs, and has no label of theirs.
    assert "app.kubernetes.io/instance" not in json.dumps(
        [one["spec"].get("egress") for one in objects if "spec" in one]
    )


def test_models_do_not_answer_for_each_other(rendered: Rendered) -> None:
    """Each Service, budget, policy and monitor finds one model's pods alone."""
    objects = rendered["overlays/models"]
    deployments = [one for one in objects if one["kind"] == "Deployment"]
    assert len(deployments) == len({one["metadata"]["name"] for one in deployments}) >= 2
    for service in (one for one in objects if one["kind"] == "Service"):
        found = [
            one["metadata"]["name"]
            for one in deployments
            if service["spec"]["selector"].items() <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert found == [service["metadata"]["name"]]


def test_every_component_is_in_an_overlay() -> None:
    """Or nothing would check it."""
    used = {
        (file.parent / name).resolve().name
        for file in K8S.rglob("kustomization.yaml")
        for document in documents(file)
        for name in document.get("components", [])
    }
    assert used == {folder.name for folder in (K8S / "components").iterdir()}
