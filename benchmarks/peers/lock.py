"""
Compiles each peer's `requirements.in` into its `requirements.txt`: ``python -m benchmarks.peers.lock mlserver``.

For Linux on x86-64 and one Python alone, with one hash a package: a lock for every platform would be ten times as long.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import FOLDER, PYTHON_VERSION, UV

_HEADER = f"# Locked by `python -m benchmarks.peers.lock`, for Linux on x86-64 and Python {PYTHON_VERSION}.\n"
_FOREIGN = ("UV_FIND_LINKS", "UV_EXTRA_INDEX_URL", "UV_INDEX")


def lock(folder: Path) -> None:
    """
    Resolve a peer's requirements to the newest versions that fit together.

    Raises
    ------
    subprocess.CalledProcessError
        If uv cannot; it has said why.
    """
    with tempfile.TemporaryDirectory() as scratch:
        resolved = Path(scratch) / "pylock.toml"
        source = folder / "requirements.in"
        options = ["--quiet", "--no-config", "--python-version", PYTHON_VERSION, "--format", "pylock.toml"]
        platform = ["--python-platform", "x86_64-manylinux_2_28"]
        subprocess.run(
            [UV, "pip", "compile", source, "--output-file", resolved, *options, *platform],
            env={name: value for name, value in os.environ.items() if name not in _FOREIGN},
            check=True,
        )
        packages = tomllib.loads(resolved.read_text(encoding="utf-8"))["packages"]
    (folder / "requirements.txt").write_text(
        _HEADER + "".join(f"{write_pin(package)}\n" for package in packages), encoding="utf-8"
    )


def write_pin(package: Mapping[str, Any]) -> str:
    """Write one package's line, with no word of where its files came from."""
    wheels = package.get("wheels", [])
    if not wheels:
        raise ValueError(
            f"{package['name']} {package['version']} has no wheel, and nothing may run code when installed"
        )
    hashes = "".join(f" \\\n    --hash=sha256:{wheel['hashes']['sha256']}" for wheel in wheels)
    return f"{package['name']}=={package['version']}{hashes}"


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.parent.name for path in FOLDER.glob("*/requirements.in")):
        print(f"benchmarks/peers/{name}/requirements.txt")
        lock(FOLDER / name)
