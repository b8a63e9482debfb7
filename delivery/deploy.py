"""Deploys an image by its digest, and takes it back when it does not get ready or does not predict: `make deploy`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from delivery.errors import DeliveryFailed
from delivery.kubectl import Deployment
from delivery.smoke import try_service

PORT = 8080
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
# A pod that an autoscaler ends, or a connection that breaks, is no reason to take a version back.
_TRIES, _BETWEEN_S = 3, 5.0


def deploy(deployment: Deployment, image: str, patience_s: int, say: Callable[[str], object]) -> None:
    """
    Replace what a Deployment runs, and try each of the new pods.

    Parameters
    ----------
    deployment : Deployment
    image : str
        By its digest, as in ``registry.example.com/treeserve@sha256:…``: a tag may mean another image tomorrow, which a
        rollback would then not go back from.
    patience_s : int
        How long the pods may take to be ready, and again to be those from before.
    say : callable
        Is told how it goes, a line at a time.

    Raises
    ------
    DeliveryFailed
        If the new image does not serve. What ran before runs again then, or the text says that it does not.
    """
    if not _BY_DIGEST.fullmatch(image):
        raise DeliveryFailed(f"{image} is not an image by its digest: NAME@sha256:… is")
    before, revision = deployment.image(), deployment.revision()
    if before == image:
        say(f"{image} is what runs already")
        _try_pods(deployment, image, say)
        return
    say(f"revision {revision} runs {before}")
    try:
        deployment.set_image(image)
        deployment.wait(patience_s)
        _try_pods(deployment, image, say)
    except DeliveryFailed as failure:
        _go_back(deployment, image, revision, patience_s, failure, say)
        raise DeliveryFailed(f"{image} does not serve, and {before} does again: {failure}") from None
    except BaseException:  # cancelled, or a fault of ours: nothing is left half done
        deployment.undo(revision)
        raise
    say(f"{image} serves")


def _go_back(
    deployment: Deployment,
    image: str,
    revision: str,
    patience_s: int,
    failure: DeliveryFailed,
    say: Callable[[str], object],
) -> None:
    pods: list[str] = []
    try:
        try:
            pods = _names(deployment, image)  # they are not counted among its own any more when they are to end
        finally:
            deployment.undo(revision)  # whatever interrupts the rest
        say(str(failure))
        for pod in pods[:1]:
            say(f"{pod} said last:\n{_log_of(deployment, pod)}")
        deployment.wait(patience_s)
    except DeliveryFailed as error:
        raise DeliveryFailed(f"{failure}; and revision {revision} does not come back either: {error}") from None


def _try_pods(deployment: Deployment, image: str, say: Callable[[str], object]) -> None:
    for left in reversed(range(_TRIES)):
        try:
            served = {pod: _try_pod(deployment, pod) for pod in _names(deployment, image)}
        except DeliveryFailed as error:
            if not left:
                raise
            say(f"once more: {error}")
            time.sleep(_BETWEEN_S)
        else:
            break
    if not served:
        raise DeliveryFailed(f"no pod runs {image}")
    for pod, model in served.items():
        say(f"{pod} predicts by {model}")


def _try_pod(deployment: Deployment, pod: str) -> str:
    try:
        with deployment.forward(pod, PORT) as url:
            return try_service(url)
    except DeliveryFailed as error:
        raise DeliveryFailed(f"{pod}: {error}") from None


def _names(deployment: Deployment, image: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in deployment.pods(image)]


def _log_of(deployment: Deployment, pod: str) -> str:
    try:
        return deployment.log(pod)
    except DeliveryFailed as error:  # it has gone
        return str(error)
