"""What `k8s/base` says of the service is what the service does."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from app import __version__
from app.endpoints.operations import operations_router
from app.setting_faults import PREFIX, find_unknown_variables
from app.settings import Settings
from tests.manifests import K8S, documents, env_file, pod_of

BASE = K8S / "base"
ENVIRONMENT = env_file(BASE / "settings.env")
[DEPLOYMENT] = documents(BASE / "deployment.yaml")
POD = pod_of(DEPLOYMENT)
[CONTAINER] = POD["containers"]
# What the one above the workers adds to the deadline (docs/operations.md, "Several workers").
_BEYOND_THE_DEADLINE_S = 5


def operations() -> set[str]:
    """The paths that operators ask."""
    router: APIRouter = operations_router(None, None, None)  # type: ignore[arg-type]  # called by requests alone
    return {route.path for route in router.routes if isinstance(route, APIRoute)}


def test_its_settings_are_settings() -> None:
    """The service starts with them, and warns of none."""
    assert find_unknown_variables(ENVIRONMENT, Settings.model_fields) == {}
    settings = Settings.from_environment(ENVIRONMENT)
    assert settings.host == "0.0.0.0"  # noqa: S104  a pod is asked from outside
    assert settings.workers == 1


@pytest.mark.parametrize(
    ("probe", "path"), [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
)
def test_a_probe_asks_a_route_that_there_is(probe: str, path: str) -> None:
    """Readiness alone asks for a model: what has none is not mended by a restart."""
    assert path in operations()
    assert CONTAINER[probe]["httpGet"] == {"path": path, "port": "http"}


def test_all_mean_the_port_on_which_it_listens() -> None:
    """The settings, the container, the Service and the policy."""
    port = Settings.from_environment(ENVIRONMENT).port
    [service] = documents(BASE / "service.yaml")
    policy = documents(BASE / "network-policy.yaml")[-1]
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": port}]
    assert [one["targetPort"] for one in service["spec"]["ports"]] == ["http"]
    assert [one["port"] for rule in policy["spec"]["ingress"] for one in rule["ports"]] == ["http"]
    assert not POD["enableServiceLinks"]  # or Kubernetes would set TREESERVE_PORT


def test_it_has_ended_by_itself_before_it_is_killed() -> None:
    """At SIGTERM it goes on to answer by itself, and so no hook holds the signal back."""
    settings = Settings.from_environment(ENVIRONMENT)
    assert POD["terminationGracePeriodSeconds"] >= settings.shutdown_deadline_s + _BEYOND_THE_DEADLINE_S
    assert "lifecycle" not in CONTAINER


def test_it_writes_where_there_is_a_volume_and_nowhere_else() -> None:
    """Into its cache folder and into /tmp, each with a limit."""
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]
    mounted = {mount["mountPath"]: mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert set(mounted) == {ENVIRONMENT[f"{PREFIX}CACHE_DIR"], "/tmp"}  # noqa: S108
    limited = {volume["name"] for volume in POD["volumes"] if volume["emptyDir"]["sizeLimit"]}
    assert limited == set(mounted.values())


def test_every_selector_finds_the_pods() -> None:
    """And none finds all pods of a namespace, as an empty one of a PodDisruptionBudget does."""
    [kustomization] = documents(BASE / "kustomization.yaml")
    labels: dict[str, str] = {}
    for added in kustomization["labels"]:
        labels |= added["pairs"] if added["includeTemplates"] else {}
    [budget] = documents(BASE / "disruption-budget.yaml")
    [service] = documents(BASE / "service.yaml")
    deny, allow = documents(BASE / "network-policy.yaml")
    spread = [constraint["labelSelector"]["matchLabels"] for constraint in POD["topologySpreadConstraints"]]
    selectors: list[dict[str, Any]] = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        budget["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        deny["spec"]["podSelector"]["matchLabels"],
        allow["spec"]["podSelector"]["matchLabels"],
        *spread,
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels.items()


def test_no_request_is_lost_by_a_rollout() -> None:
    """A pod ends when another one is ready, never before."""
    rolling = DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]
    assert rolling["maxUnavailable"] == 0
    assert rolling["maxSurge"]
    assert DEPLOYMENT["spec"]["replicas"] >= 2


def test_the_image_is_the_one_of_this_version() -> None:
    """And the container names it without one, for Kustomize sets it in one place."""
    [kustomization] = documents(BASE / "kustomization.yaml")
    assert kustomization["images"] == [{"name": "treeserve", "newTag": __version__}]
    assert CONTAINER["image"] == "treeserve"
