"""
A machine within this one: its own mounts, processes and network, all of which end with its first process.

What a kubelet and a container runtime leave behind when they are killed, mounts, processes, interfaces, rules, is
therefore gone when a test ends, however it ends. Cgroups alone are this machine's, below one that is removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.processes import clean_environment, run_process
from tests.services import wait

CGROUPS = Path("/sys/fs/cgroup")
# Where programs of a node keep what they have, at places that some of them cannot be talked out of.
_OWN_FOLDERS = ("/run", "/var/lib", "/var/log")
_FIRST_PROCESS = """
set -e
mount --make-rshared /
for folder in $OWN_FOLDERS; do
    mkdir -p "$HOME$folder"
    mount --bind "$HOME$folder" "$folder"
done
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
trap 'exit 0' TERM
touch "$HOME/started"
while :; do sleep 3600 & wait; done
"""


@dataclass(frozen=True)
class Machine:
    """A machine that runs; `pid` is its first process, `folder` its own, and `cgroup` what its cgroups are below."""

    pid: int
    folder: Path
    cgroup: str

    def inside(self, *command: str) -> list[str]:
        """The command that runs another one inside."""
        return ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--", *command]

    def run(self, *command: str) -> str:
        """Run a command inside until it ends; what it says."""
        ended = subprocess.run(self.inside(*command), check=False, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, f"{' '.join(command[:4])}: {ended.stdout}{ended.stderr}"
        return ended.stdout


@contextmanager
def run_machine(folder: Path) -> Iterator[Machine]:
    """Start one, which ends with the block, or with the test's own process."""
    folder.mkdir(parents=True)
    cgroup = f"/treeserve-{os.getpid()}-{folder.name}"
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
    first = [*command, "--mount-proc", "bash", "-c", _FIRST_PROCESS]
    environment = clean_environment(folder, OWN_FOLDERS=" ".join(_OWN_FOLDERS))
    _remove_left_cgroups()
    try:
        _make_cgroups(cgroup)
        with run_process(first, environment, folder / "first-process") as process:
            for _ in wait(20):
                assert process.poll() is None, (folder / "first-process" / "stderr").read_text()
                if (folder / "started").exists():
                    break
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield Machine(int(children[0]), folder, cgroup)
    finally:
        _remove_cgroups(cgroup)
        shutil.rmtree(f"{folder}/var/lib", ignore_errors=True)  # images and containers; what was logged stays


def _hierarchies() -> list[Path]:
    """Where cgroups are made: in one place, or in one for each controller."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [place for place in CGROUPS.iterdir() if place.is_dir() and not place.is_symlink()]


def _make_cgroups(cgroup: str) -> None:
    for hierarchy in _hierarchies():
        made = Path(f"{hierarchy}{cgroup}")
        made.mkdir()
        if hierarchy.name == "cpuset":  # empty until it is told, and no process may enter it then
            for name in ("cpuset.cpus", "cpuset.mems"):
                (made / name).write_text((hierarchy / name).read_text())


def _remove_left_cgroups() -> None:
    """Remove those of tests that were killed."""
    left = {made.name for hierarchy in _hierarchies() for made in hierarchy.glob("treeserve-*-*")}
    for name in left:
        if not Path(f"/proc/{name.split('-')[1]}").exists():
            _remove_cgroups(f"/{name}")


def _remove_cgroups(cgroup: str) -> None:
    """Remove them from the innermost on; a process that has just been killed may hold one for a moment."""
    for hierarchy in _hierarchies():
        made = Path(f"{hierarchy}{cgroup}")
        for _ in wait(20, every_s=0.05):
            for folder, _folders, _files in os.walk(made, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)
            if not made.exists():
                break
