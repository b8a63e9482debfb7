"""A pod as the kubelet makes it: what the manifest says of rights, limits and mounts holds for the process in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.machine import CGROUPS
from tests.cluster.node import Node

pytestmark = pytest.mark.cluster
# What the runtime mounts into every container; the last, with cgroups of version 1, holds nothing but root's folders.
_RUNTIME = ("/dev", "/proc", "/etc/", "/sys/fs/cgroup")


class Inside:
    """The service's process in a pod, as its node sees it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        (self._pid,) = (pid for pid in node.processes() if "serve" in self._read_of(pid, "cmdline").split("\0"))

    def read(self, name: str) -> str:
        """A file that the kernel has about it."""
        return self._read_of(self._pid, name)

    @property
    def status(self) -> dict[str, str]:
        """What it may do."""
        lines = (line.partition(":") for line in self.read("status").splitlines())
        return {name: " ".join(value.split()) for name, _, value in lines}

    @property
    def mounts(self) -> dict[str, list[str]]:
        """Options by place."""
        return {line.split()[1]: line.split()[3].split(",") for line in self.read("mounts").splitlines()}

    @property
    def memory_limit(self) -> int:
        """In bytes."""
        groups = [line.split(":", 2) for line in self.read("cgroup").splitlines()]
        for _, controllers, group in groups:
            if controllers == "memory":
                return int(Path(f"{CGROUPS}/memory{group}/memory.limit_in_bytes").read_text())
        return int(Path(f"{CGROUPS}{groups[0][2]}/memory.max").read_text())

    def _read_of(self, pid: int, name: str) -> str:
        return self._node.machine.run("cat", f"/proc/{pid}/{name}")


@pytest.fixture(scope="module")
def inside(deployment: Deployment) -> Inside:
    """One on node 1."""
    return Inside(deployment.cluster.nodes[0])


def test_the_process_may_do_nothing_that_it_need_not(inside: Inside) -> None:
    """A user of its own, no capability, no way to get one, and the runtime's filter of system calls."""
    status = inside.status
    assert status["Uid"] == "10001 10001 10001 10001"
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_the_process_writes_where_it_has_volumes_and_nowhere_else(inside: Inside) -> None:
    """The root is read-only."""
    written = {place for place, options in inside.mounts.items() if "rw" in options}
    assert "ro" in inside.mounts["/"]
    assert {place for place in written if not place.startswith(_RUNTIME)} == {"/tmp", "/var/cache/treeserve"}  # noqa: S108


def test_the_process_has_no_token(inside: Inside) -> None:
    """It never asks the API server anything."""
    assert not [place for place in inside.mounts if "secrets" in place]


def test_memory_is_limited(inside: Inside, deployment: Deployment) -> None:
    """As the manifest says."""
    (container,) = deployment.pods()[0]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert inside.memory_limit == 1 << 30


def test_a_pod_that_may_more_is_refused(deployment: Deployment) -> None:
    """By the namespace, whoever makes it."""
    asked = ["run", "other", "--image=treeserve", "--dry-run=server"]
    refused = deployment.cluster.plane.try_kubectl(f"--namespace={NAMESPACE}", *asked)
    assert "violates PodSecurity" in refused.stderr
