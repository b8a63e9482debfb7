"""The command `git`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from delivery.errors import DeliveryFailed


def git(root: Path, *arguments: str) -> str:
    """
    Run it in a checkout; what it says.

    Raises
    ------
    DeliveryFailed
        If it fails.
    """
    command = ["git", "-C", str(root), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise DeliveryFailed(f"git {arguments[0]} failed: {(ended.stderr or ended.stdout).strip()}")
    return ended.stdout.strip()
