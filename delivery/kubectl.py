"""The command `kubectl`, and with it a Deployment and its pods."""

from __future__ import annotations

import json
import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from delivery.errors import DeliveryFailed

_FORWARDED = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ->")
_FORWARDING_S = 30
_ASKING_S = 60  # for what answers at once


@dataclass(frozen=True)
class Deployment:
    """
    A Deployment, and the container in it whose image is exchanged.

    Which cluster it is in, `kubectl` knows.

    Attributes
    ----------
    namespace, name, container : str
        Their names.
    """

    namespace: str
    name: str
    container: str

    def image(self) -> str:
        """What its pods are to run."""
        containers = self._get("deployment", self.name)["spec"]["template"]["spec"]["containers"]
        images: list[str] = [container["image"] for container in containers if container["name"] == self.container]
        if not images:
            raise DeliveryFailed(f"deployment {self.name} has no container {self.container}")
        return images[0]

    def revision(self) -> str:
        """The number that `rollout undo` knows its present state by."""
        annotations = self._get("deployment", self.name)["metadata"]["annotations"]
        revision: str = annotations["deployment.kubernetes.io/revision"]
        return revision

    def set_image(self, image: str) -> None:
        """Have it replace its pods."""
        self._run("set", "image", f"deployment/{self.name}", f"{self.container}={image}")

    def wait(self, patience_s: int) -> None:
        """Wait until all its pods are the new ones, and ready."""
        command = ("rollout", "status", f"deployment/{self.name}", f"--timeout={patience_s}s")
        self._run(*command, patience_s=patience_s + _ASKING_S)

    def undo(self, revision: str) -> None:
        """Have it go back."""
        self._run("rollout", "undo", f"deployment/{self.name}", f"--to-revision={revision}")

    def pods(self, image: str) -> list[dict[str, Any]]:
        """Those that run an image and are not about to end."""
        wanted = self._get("deployment", self.name)["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{label}={value}" for label, value in wanted.items())
        return [
            pod
            for pod in self._get("pods", "--selector", selector)["items"]
            if "deletionTimestamp" not in pod["metadata"]
            and any(container["image"] == image for container in pod["spec"]["containers"])
        ]

    def log(self, pod: str) -> str:
        """The last that a pod's container said."""
        return self._run("logs", f"pod/{pod}", "--container", self.container, "--tail=20").strip()

    @contextmanager
    def forward(self, pod: str, port: int) -> Iterator[str]:
        """Reach a pod's port from this machine, past any Service and network policy; where, as a URL."""
        command = self._command("port-forward", "--address", "127.0.0.1", f"pod/{pod}", f":{port}")
        # Unbuffered: what a buffer has taken in, no selector sees.
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
            try:
                assert process.stdout is not None
                found = _FORWARDED.match(_read_line(process.stdout, _FORWARDING_S))
                if not found:
                    raise DeliveryFailed(f"kubectl does not forward a port to pod {pod}")
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.kill()

    def _command(self, *arguments: str) -> list[str]:
        return ["kubectl", "--namespace", self.namespace, *arguments]

    def _get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._run("get", *arguments, "--output", "json"))
        return found

    def _run(self, *arguments: str, patience_s: float = _ASKING_S) -> str:
        try:
            ended = subprocess.run(
                self._command(*arguments), capture_output=True, text=True, timeout=patience_s, check=False
            )
        except FileNotFoundError:
            raise DeliveryFailed("there is no kubectl") from None
        except subprocess.TimeoutExpired:
            raise DeliveryFailed(f"kubectl {arguments[0]} took more than {patience_s:.0f} s") from None
        if ended.returncode:
            raise DeliveryFailed(f"kubectl {' '.join(arguments[:2])}: {ended.stderr.strip() or ended.stdout.strip()}")
        return ended.stdout


def _read_line(stream: IO[bytes], patience_s: float) -> str:
    """A line, or as much of it as came in time."""
    line, deadline = b"", time.monotonic() + patience_s
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n") and selector.select(max(0, deadline - time.monotonic())):
            if not (character := stream.read(1)):
                break
            line += character
    return line.decode(errors="replace")
