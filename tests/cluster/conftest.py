"""What tests of the cluster share: a control plane, two nodes with the service's image, MLflow, and a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app import __version__
from delivery.engine import Engine
from tests.cluster.callers import Callers
from tests.cluster.cluster import Cluster, run_cluster
from tests.cluster.control_plane import ControlPlane, run_control_plane
from tests.cluster.deployment import Deployment
from tests.cluster.tools import CONTROL_PLANE, NODE, can_run_nodes, has
from tests.e2e.faults.registry import Registry
from tests.integration.kubernetes.tools import DEFINITIONS
from tests.processes import free_port

IMAGE = f"localhost/treeserve:{__version__}"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server without nodes, that knows the custom resources whose definitions `make k8s-check` has fetched."""
    if not has(CONTROL_PLANE):
        pytest.skip("there is no Kubernetes (make cluster-tools)")
    with run_control_plane(tmp_path_factory.mktemp("api") / "control-plane") as plane:
        for file in filter(Path.is_file, DEFINITIONS):
            plane.kubectl("create", f"--filename={file}")
            plane.kubectl("wait", "--for=condition=Established", f"--filename={file}", "--timeout=60s")
        yield plane


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes that have the service's image."""
    if not has(NODE) or not can_run_nodes():
        pytest.skip("there are no nodes (make cluster-tools, as root, with Podman and runc)")
    if not Engine("podman").has(IMAGE):
        pytest.skip(f"Podman has no {IMAGE} (make image)")
    with run_cluster(tmp_path_factory.mktemp("cluster"), IMAGE) as running:
        yield running


@pytest.fixture(scope="session")
def registry(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Registry]:
    """Versions 1 and 2 are good, 3 does not answer as it says it does."""
    with ExitStack() as running:
        server = Registry(tmp_path_factory.mktemp("registry"), free_port(), empty_database, cluster.network.host)
        running.callback(server.stop)
        for rounds in (12, 10):
            server.log_good(rounds)
        server.log_with_wrong_golden_rows()
        server.promote("1")
        yield server


@pytest.fixture(scope="session")
def deployment(cluster: Cluster, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The overlay as it is, but for where the registry is and where the image comes from; it is ready."""
    deployed = Deployment(cluster, registry, tmp_path_factory.mktemp("overlay"))
    deployed.apply()
    deployed.wait()
    return deployed


@pytest.fixture
def callers(request: pytest.FixtureRequest, deployment: Deployment) -> Callers:
    """Who ask the deployment's Service."""
    return Callers(request, deployment)
