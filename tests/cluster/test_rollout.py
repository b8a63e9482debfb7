"""A rollout, a pod's end and a node's, under load by way of the Service: nobody loses a request."""

from __future__ import annotations

import pytest

from tests.cluster.callers import Callers
from tests.cluster.deployment import Deployment
from tests.services import wait

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def names(deployment: Deployment) -> set[str]:
    """Of the pods, those that end included."""
    return {pod["metadata"]["name"] for pod in deployment.pods()}


def test_a_new_image_is_rolled_out(deployment: Deployment, callers: Callers) -> None:
    """A new image is rolled out, and every pod replaced."""
    before, image = names(deployment), deployment.cluster.next_image
    with callers.asking("a new pod is ready before an old one is told to end, which answers on for its grace"):
        deployment.apply(image)
        deployment.wait()
    assert not before & names(deployment)
    assert {pod["spec"]["containers"][0]["image"] for pod in deployment.pods()} == {image}


def test_a_new_setting_is_rolled_out(deployment: Deployment, callers: Callers) -> None:
    """A setting is changed, here the one that names the model version, and rolled out."""
    with callers.asking("the pods are replaced, for the ConfigMap has another name; then version 2 answers everybody"):
        deployment.apply(TREESERVE_MODEL_URI="models:/flight-delay/2")
        deployment.wait()
        callers.wait_for("2")


def test_a_version_that_is_unfit_stalls_the_rollout(deployment: Deployment, callers: Callers) -> None:
    """A model version is rolled out that must not serve: it does not answer its golden rows."""
    served = names(deployment)
    with callers.asking("its pod never becomes ready, the old ones serve on; `kubectl rollout undo` ends it"):
        deployment.apply(TREESERVE_MODEL_URI="models:/flight-delay/3")
        for _ in wait(90, every_s=0.5):
            if "golden" in deployment.kubectl("logs", "--selector=app.kubernetes.io/component=serving", "--tail=-1"):
                break
        assert not deployment.is_rolled_out(within_s=10)
        assert served < names(deployment)
        deployment.kubectl("rollout", "undo", "deployment/treeserve")
        deployment.wait()
    assert names(deployment) == served


def test_a_pod_is_deleted(deployment: Deployment, callers: Callers) -> None:
    """One of the two pods is deleted."""
    victim = min(names(deployment))
    with callers.asking("the other answers meanwhile, and a third takes its place"):
        deployment.kubectl("delete", "pod", victim)
        deployment.wait()
    assert victim not in names(deployment)


def test_a_node_is_drained(deployment: Deployment, callers: Callers) -> None:
    """A node is drained, with the pods that are on it."""
    plane, node = deployment.cluster.plane, deployment.cluster.nodes[1].name
    assert node in {pod["spec"]["nodeName"] for pod in deployment.pods()}
    try:
        with callers.asking("its pod is evicted as the PodDisruptionBudget allows, and another starts elsewhere"):
            plane.kubectl("drain", node, "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=90s")
            deployment.wait()
        assert node not in {pod["spec"]["nodeName"] for pod in deployment.pods()}
    finally:
        plane.kubectl("uncordon", node)
