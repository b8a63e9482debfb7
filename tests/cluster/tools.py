"""
The programs of a Kubernetes cluster that tests run; ``python -m tests.cluster.tools`` builds what is not there yet.

All are built from their Go modules, each with the versions of others that its own go.mod names: the API server,
controller manager, scheduler, kubelet, kube-proxy and kubectl of one release of Kubernetes, etcd, containerd, and the
plugins that give pods a network. runc, which starts their processes, is the system's. What cannot be had is told, and
the tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import PROJECT
from tests.programs import run_program

_IS_ROOT = os.geteuid() == 0
_PLACE = Path("/var/cache/treeserve") if _IS_ROOT else PROJECT / "build"
_PATIENCE_S = 3600


@dataclass(frozen=True)
class Module:
    """
    A Go module and the programs that are built from it.

    Attributes
    ----------
    name : str
        Of the folder that the programs are in, with the version.
    path, version : str
    packages : dict of str to str
        Each program's package, below the module's path.
    variables : dict of str to str
        What the linker writes into the programs, which otherwise do not know their version.
    """

    name: str
    path: str
    version: str
    packages: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the programs are."""
        return _PLACE / f"{self.name}-{self.version}"


def _kubernetes(version: str) -> Module:
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
    major, minor, _ = version.removeprefix("v").split(".")
    said = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    homes = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    variables = {f"{home}.{name}": value for home in homes for name, value in said.items()}
    return Module("kubernetes", "k8s.io/kubernetes", version, {name: f"/cmd/{name}" for name in names}, variables)


KUBERNETES = _kubernetes("v1.37.2")
ETCD = Module("etcd", "go.etcd.io/etcd/server/v3", "v3.7.3", {"etcd": ""})
CONTAINERD = Module(
    "containerd",
    "github.com/containerd/containerd/v2",
    "v2.4.2",
    {name: f"/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
    {"github.com/containerd/containerd/v2/version.Version": "v2.4.2"},
)
NETWORK_PLUGINS = Module(
    "network-plugins",
    "github.com/containernetworking/plugins",
    "v1.10.0",
    {"bridge": "/plugins/main/bridge", "loopback": "/plugins/main/loopback", "host-local": "/plugins/ipam/host-local"},
)
CONTROL_PLANE = (ETCD, KUBERNETES)
NODE = (*CONTROL_PLANE, CONTAINERD, NETWORK_PLUGINS)


def build(module: Module) -> None:
    """Build a module's programs into its folder, which is there when all of them are."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_go_mod(module, folder)
        variables = [f"-X {variable}={value}" for variable, value in module.variables.items()]
        linked = f"-ldflags=-s -w {' '.join(variables)}"
        built = folder / "built"
        built.mkdir()
        for program, package in module.packages.items():
            _go(folder, "build", "-mod=mod", "-trimpath", linked, "-o", f"{built}/{program}", module.path + package)
        if module is KUBERNETES:
            _compile_pause(folder, built)
        module.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(module.folder, ignore_errors=True)
        unfinished = module.folder.with_name(f"{module.folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(built, unfinished)
        unfinished.rename(module.folder)


def has(modules: tuple[Module, ...]) -> bool:
    """Whether all of their programs are there."""
    return all((module.folder / program).is_file() for module in modules for program in module.packages)


def can_run_nodes() -> bool:
    """Whether containers can be run here: that takes root, who may make namespaces, runc, and Podman for the image."""
    if not _IS_ROOT or not all(shutil.which(name) for name in ("runc", "podman", "unshare", "ip", "iptables")):
        return False
    tried = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], check=False, timeout=20)
    return tried.returncode == 0


def _compile_pause(folder: Path, built: Path) -> None:
    """Compile the process that every pod has, which is written in C."""
    source = Path(_go(folder, "list", "-mod=mod", "-m", "-f={{.Dir}}", KUBERNETES.path).strip())
    command = ["cc", "-Os", "-static", f"-DVERSION={KUBERNETES.version}", "-o", str(built / "pause")]
    _run(folder, *command, str(source / "build" / "pause" / "linux" / "pause.c"))


def _write_go_mod(module: Module, folder: Path) -> None:
    """
    Make a module of our own that has exactly the requirements of another.

    What that one takes from its own repository is not in its archive, and comes as the release of the same name:
    ``k8s.io/api v0.37.2`` belongs to ``k8s.io/kubernetes v1.37.2``.
    """
    found = json.loads(_go(folder, "mod", "download", "-json", f"{module.path}@{module.version}"))
    shutil.copyfile(found["GoMod"], folder / "go.mod")
    shutil.copyfile(Path(found["Dir"]) / "go.sum", folder / "go.sum")
    for file in ("go.mod", "go.sum"):
        (folder / file).chmod(0o644)
    edits = ["-module=programs", f"-require={module.path}@{module.version}"]
    for replaced in json.loads(_go(folder, "mod", "edit", "-json"))["Replace"] or ():
        path = replaced["Old"]["Path"]
        if "Version" in replaced["New"]:
            continue
        edits.append(f"-dropreplace={path}")
        if module is KUBERNETES:
            edits.append(f"-replace={path}={path}@{module.version.replace('v1.', 'v0.', 1)}")
    _go(folder, "mod", "edit", *edits)


def _go(folder: Path, *arguments: str) -> str:
    return _run(folder, "nice", "-n", "10", "go", *arguments)


def _run(folder: Path, *command: str) -> str:
    return run_program(*command, folder=folder, patience_s=_PATIENCE_S, variables={"CGO_ENABLED": "0"})


def main() -> int:
    """Build what is not there yet; 1 if something cannot be had."""
    status = 0
    for module in NODE:
        if has((module,)):
            continue
        began_s = time.monotonic()
        try:
            build(module)
        except OSError as error:
            print(f"{module.name} {module.version} could not be built: {error}", file=sys.stderr)
            status = 1
        else:
            print(f"{module.name} {module.version}, {time.monotonic() - began_s:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
