"""A node of the cluster: containerd, a kubelet and kube-proxy, as they are, on a machine within this one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.control_plane import ControlPlane
from tests.cluster.images import PAUSE_IMAGE
from tests.cluster.machine import Machine
from tests.cluster.network import Network
from tests.cluster.tools import CONTAINERD, KUBERNETES, NETWORK_PLUGINS
from tests.processes import clean_environment, run_process
from tests.services import wait

_SOCKET = "/run/containerd/containerd.sock"
_CONTAINERD = """\
version = 4
[debug]
level = "warn"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
# Without CAP_SYS_RESOURCE, as in many a container, no process may be made less likely to be killed for memory.
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{plugins}"]
conf_dir = "{networks}"
"""


@dataclass(frozen=True)
class Node:
    """A node that is ready."""

    name: str
    machine: Machine

    def load(self, archive: Path) -> None:
        """Take images in, as `podman save` writes them."""
        self._ctr("images", "import", str(archive))

    def tag(self, image: str, other: str) -> None:
        """Give an image another name."""
        self._ctr("images", "tag", image, other)

    def digest(self, image: str) -> str:
        """By which an image is named that no tag can move: ``sha256:…``."""
        (found,) = self._ctr("images", "list", f"name=={image}").splitlines()[1:]
        return found.split()[2]

    def processes(self) -> list[int]:
        """The first one of each container, by its number on this machine within the machine."""
        tasks = self._ctr("tasks", "list").splitlines()[1:]
        return [int(task.split()[1]) for task in tasks if task.split()[2] == "RUNNING"]

    def _ctr(self, *arguments: str) -> str:
        return self.machine.run(str(CONTAINERD.folder / "ctr"), "--namespace=k8s.io", *arguments)


@contextmanager
def run_node(plane: ControlPlane, machine: Machine, network: Network, number: int, pause: Path) -> Iterator[Node]:
    """
    Start one and wait until it is ready; it ends with the block.

    Parameters
    ----------
    plane : ControlPlane
    machine : Machine
        Connected to `network`.
    network : Network
    number : int
        From 1.
    pause : pathlib.Path
        The archive of `PAUSE_IMAGE`.
    """
    name = f"node-{number}"
    node = Node(name, machine)
    folder = machine.folder
    environment = clean_environment(folder)
    environment["PATH"] = f"{CONTAINERD.folder}:{environment['PATH']}"
    with ExitStack() as running:

        def start(program: str, *arguments: str) -> None:
            command = machine.inside(program, *arguments)
            running.enter_context(run_process(command, environment, folder / Path(program).name))

        start(str(CONTAINERD.folder / "containerd"), "--config", str(_write_containerd(folder, network, number)))
        _wait_for_containerd(node)
        node.load(pause)
        kubelet = [f"--config={_write_kubelet(plane, machine, network.node(number))}", f"--hostname-override={name}"]
        kubelet += [f"--kubeconfig={plane.kubeconfig(f'system:node:{name}')}", f"--node-ip={network.node(number)}"]
        start(str(KUBERNETES.folder / "kubelet"), *kubelet, f"--cert-dir={folder / 'kubelet-certificates'}")
        start(str(KUBERNETES.folder / "kube-proxy"), f"--config={_write_proxy(plane, folder, network)}",
              f"--hostname-override={name}")  # fmt: skip
        for _ in wait(120, every_s=0.3):
            found = plane.try_kubectl("get", "node", name, "--output=json")
            if found.returncode == 0 and _is_ready(json.loads(found.stdout)):
                break
        yield node


def _is_ready(node: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", ()))


def _wait_for_containerd(node: Node) -> None:
    command = node.machine.inside(str(CONTAINERD.folder / "ctr"), "version")
    for _ in wait(60, every_s=0.1):
        if subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0:
            return


def _write_containerd(folder: Path, network: Network, number: int) -> Path:
    networks = folder / "networks"
    networks.mkdir()
    pods = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": network.pods(number)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    plugins = [pods, {"type": "loopback"}]
    (networks / "pods.conflist").write_text(json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}))
    config = folder / "containerd.toml"
    config.write_text(_CONTAINERD.format(pause=PAUSE_IMAGE, plugins=NETWORK_PLUGINS.folder, networks=networks))
    return config


def _write_kubelet(plane: ControlPlane, machine: Machine, address: str) -> Path:
    """What it would be on a machine of its own, but for what this one may have: swap, old cgroups, a full disk."""
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "healthzPort": 0,
        "authentication": {"x509": {"clientCAFile": str(plane.certificate)}, "anonymous": {"enabled": False}},
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": machine.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
        "nodeStatusUpdateFrequency": "2s",
    }
    return _write(machine.folder / "kubelet.json", config)


def _write_proxy(plane: ControlPlane, folder: Path, network: Network) -> Path:
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(plane.kubeconfig("system:kube-proxy"))},
        "mode": "iptables",
        "clusterCIDR": network.all_pods,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # The machine's own limits hold; a network namespace cannot change them.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
    }
    return _write(folder / "kube-proxy.json", config)


def _write(file: Path, config: object) -> Path:
    file.write_text(json.dumps(config))
    return file
