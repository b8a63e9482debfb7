"""Docker or Podman: whichever this machine has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from delivery.errors import DeliveryFailed


@dataclass(frozen=True)
class Engine:
    """
    A program that builds images and runs containers.

    Attributes
    ----------
    program : str
        ``docker`` or ``podman``, or where one of them is.
    """

    program: str

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman, by whichever name, which differs where an image's format is concerned."""
        told = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        return "podman" in told.stdout

    def run(self, *arguments: str, stdout: int | None = None) -> str:
        """
        Run one of its commands.

        Returns
        -------
        str
            What it wrote to standard output, if that was asked for with `stdout=subprocess.PIPE`.

        Raises
        ------
        DeliveryFailed
            If it ends with another status than 0.
        """
        ended = subprocess.run([self.program, *arguments], stdout=stdout, text=True, check=False)
        if ended.returncode:
            raise DeliveryFailed(f"{self.program} {arguments[0]} ended with status {ended.returncode}")
        return ended.stdout or ""

    def inspect(self, image: str) -> dict[str, Any]:
        """
        What the engine knows of an image that is on this machine.

        Raises
        ------
        DeliveryFailed
            If there is no such image.
        """
        found: list[dict[str, Any]] = json.loads(self.run("image", "inspect", image, stdout=subprocess.PIPE))
        return found[0]

    def has(self, image: str) -> bool:
        """Whether an image is on this machine."""
        command = [self.program, "image", "inspect", image]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def find_engine() -> Engine:
    """
    Docker, or Podman where no Docker answers; ``CONTAINER_ENGINE`` names another program.

    Raises
    ------
    DeliveryFailed
        If there is none that works.
    """
    wanted = os.environ.get("CONTAINER_ENGINE")
    names = [wanted] if wanted else ["docker", "podman"]
    for name in names:
        program = shutil.which(name)
        # Docker's command may be there without the daemon that does the work.
        if program and subprocess.run([program, "version"], capture_output=True, check=False).returncode == 0:
            return Engine(program)
    raise DeliveryFailed(f"images are built by Docker or Podman, and {' and '.join(names)} cannot be used here")
