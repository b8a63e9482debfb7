"""
Addresses of a cluster within this machine, from 198.18.0.0/15, which is set aside for tests of networks (RFC 2544).

Node 1 is the machine's neighbour and the other nodes' router, so that nothing of this machine's own network changes but
for one pair of interfaces and one route, which vanish with node 1. Callers on this machine reach Services as clients
from outside a cluster do, by way of a node.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from tests.cluster.machine import Machine

_N_BLOCKS = 64


@dataclass(frozen=True)
class Network:
    """
    A block of addresses, for two nodes at most.

    Attributes
    ----------
    block : int
        198.18.0.0/15 in parts of eight /24 each.
    """

    block: int

    @property
    def prefix(self) -> str:
        """Of all of its addresses."""
        return f"{self._part(0)}.0/21"

    @property
    def host(self) -> str:
        """The address of this machine, as the cluster sees it."""
        return f"{self._part(0)}.1"

    @property
    def services(self) -> str:
        """What Services get their addresses from."""
        return f"{self._part(7)}.0/24"

    def node(self, number: int) -> str:
        """A node's address; nodes are counted from 1."""
        return f"{self._part(0)}.{2 if number == 1 else 4 * number + 2}"

    def router(self, number: int) -> str:
        """Where a node sends what is not for its own pods."""
        return self.host if number == 1 else f"{self._part(0)}.{4 * number + 1}"

    def pods(self, number: int) -> str:
        """What a node's pods get their addresses from."""
        return f"{self._part(1 + number)}.0/24"

    @property
    def all_pods(self) -> str:
        """What the pods of both nodes get their addresses from."""
        return f"{self._part(2)}.0/23"

    def _part(self, number: int) -> str:
        part = self.block * 8 + number
        return f"198.{18 + part // 256}.{part % 256}"


def connect(nodes: Sequence[Machine]) -> Network:
    """Connect this machine to node 1, through a block that nobody else uses, and the other nodes to that one."""
    network = _connect_host(nodes[0])
    for number, node in enumerate(nodes, 1):
        if number > 1:
            _connect_nodes(network, nodes[0], node, number)
        node.run("ip", "address", "add", f"{network.node(number)}/30", "dev", "eth0")
        node.run("ip", "link", "set", "eth0", "up")
        node.run("ip", "route", "add", "default", "via", network.router(number))
    return network


def _connect_host(node: Machine) -> Network:
    for block in random.sample(range(_N_BLOCKS), _N_BLOCKS):
        network, name = Network(block), f"treeserve{block}"
        link = ["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(node.pid)]
        if subprocess.run(link, check=False, capture_output=True, timeout=20).returncode:
            continue  # there is one of that name
        for command in (
            ["address", "add", f"{network.host}/30", "dev", name],
            ["link", "set", name, "up"],
            ["route", "add", network.prefix, "via", network.node(1), "dev", name],
        ):
            subprocess.run(["ip", *command], check=True, timeout=20)
        return network
    raise OSError("there is no free block of addresses")


def _connect_nodes(network: Network, router: Machine, node: Machine, number: int) -> None:
    name = f"node{number}"
    link = ["ip", "link", "add", name, "netns", str(router.pid), "type", "veth", "peer", "eth0", "netns", str(node.pid)]
    subprocess.run(link, check=True, timeout=20)
    router.run("ip", "address", "add", f"{network.router(number)}/30", "dev", name)
    router.run("ip", "link", "set", name, "up")
    router.run("ip", "route", "add", network.pods(number), "via", network.node(number))
