"""Whatever ends a deployment, the image from before is asked for again; with a Deployment that only remembers."""

from __future__ import annotations

import pytest

from delivery import deploy as module
from delivery.deploy import deploy
from delivery.errors import DeliveryFailed

NEW = f"treeserve@sha256:{'1' * 64}"


class Deployment:
    """What was asked of it, and what it fails at."""

    def __init__(self, **fails: BaseException) -> None:
        self.fails = fails
        self.asked: list[str] = []

    def _do(self, name: str) -> None:
        self.asked.append(name)
        if name in self.fails:
            raise self.fails[name]

    def image(self) -> str:
        return "treeserve@sha256:0"

    def revision(self) -> str:
        return "3"

    def set_image(self, image: str) -> None:
        self._do("set")

    def wait(self, patience_s: int) -> None:
        self._do("wait")

    def undo(self, revision: str) -> None:
        self._do("undo")

    def pods(self, image: str) -> list[dict[str, dict[str, str]]]:
        self._do("pods")
        return [{"metadata": {"name": "pod-0"}}]

    def log(self, pod: str) -> str:
        self._do("log")
        return "its log"


@pytest.mark.parametrize("place", ["set", "wait", "pods"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), KeyError("a fault of ours"), DeliveryFailed("no")], ids=repr)
def test_it_goes_back(place: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault, an interruption and a failure, wherever it is."""
    monkeypatch.setattr(module, "_BETWEEN_S", 0)
    deployment = Deployment(**{place: error})
    with pytest.raises(type(error)):
        deploy(deployment, NEW, 1, print)  # type: ignore[arg-type]
    assert "undo" in deployment.asked


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DeliveryFailed("kubectl logs took more than 60 s")], ids=repr)
def test_it_has_gone_back_before_it_shows_a_log(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which may take long, on a node that hangs, and be interrupted."""
    monkeypatch.setattr(module, "_try_pods", lambda *_: (_ for _ in ()).throw(DeliveryFailed("it does not predict")))
    deployment = Deployment(log=error)
    with pytest.raises((KeyboardInterrupt, DeliveryFailed)):
        deploy(deployment, NEW, 1, print)  # type: ignore[arg-type]
    assert deployment.asked.index("undo") < deployment.asked.index("log")
