"""What the checks of manifests share: each overlay, rendered once."""

from __future__ import annotations

import pytest

from tests.integration.kubernetes.rendering import OVERLAYS, Object, render
from tests.integration.kubernetes.tools import missing
from tests.manifests import K8S


@pytest.fixture(scope="session")
def rendered() -> dict[str, list[Object]]:
    """The objects of each overlay."""
    if lacking := missing():
        pytest.skip(f"not installed: {', '.join(lacking)} (make k8s-check)")
    return {overlay: render(K8S / overlay) for overlay in OVERLAYS}
