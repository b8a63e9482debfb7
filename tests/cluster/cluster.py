"""A cluster of two nodes within this machine, whose nodes have the images that pods are made of."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.control_plane import ControlPlane, run_control_plane
from tests.cluster.images import save_image, write_pause_image
from tests.cluster.machine import run_machine
from tests.cluster.network import Network, connect
from tests.cluster.node import Node, run_node

_NAMES = ("node-1", "node-2")


@dataclass(frozen=True)
class Cluster:
    """
    A cluster whose nodes are ready.

    Attributes
    ----------
    plane : ControlPlane
    network : Network
    nodes : tuple of Node
    image, next_image : str
        The service's, and the same once more as a release of another name.
    """

    plane: ControlPlane
    network: Network
    nodes: tuple[Node, ...]
    image: str
    next_image: str


@contextmanager
def run_cluster(folder: Path, image: str) -> Iterator[Cluster]:
    """Start one; it ends with the block."""
    pause, service = folder / "pause.tar", folder / "service.tar"
    write_pause_image(pause)
    save_image(image, service)
    next_image = f"{image.rpartition(':')[0]}:next"
    with ExitStack() as running:
        machines = [running.enter_context(run_machine(folder / name)) for name in _NAMES]
        network = connect(machines)
        plane = running.enter_context(
            run_control_plane(folder / "control-plane", network.host, network.services, _NAMES)
        )
        nodes = [
            running.enter_context(run_node(plane, machine, network, number, pause))
            for number, machine in enumerate(machines, 1)
        ]
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda node: node.load(service), nodes))
        for node in nodes:
            node.tag(image, next_image)
        service.unlink()
        yield Cluster(plane, network, tuple(nodes), image, next_image)
