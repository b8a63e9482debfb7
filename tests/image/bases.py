"""
Images to build on where no registry of images can be reached: Debian 12 with its Python 3.11, from Debian's packages.

They stand in for the official Python images, the slim one and the one with a compiler, and hold about what those do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from delivery.engine import Engine

BASE_IMAGE = "localhost/treeserve-base:bookworm"
BUILD_IMAGE = "localhost/treeserve-build:bookworm"
_PIP = (
    "mkdir -p /usr/local/lib/python3.11/site-packages/pip && "
    "printf '#!/bin/sh\\n' >/usr/local/bin/pip3 && chmod 755 /usr/local/bin/pip3"
)
_COMPILER = ("gcc", "libc6-dev", "python3-dev", "python3-pip", "python3-venv")
_MMDEBSTRAP = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    # usr-is-merged stands for usrmerge, which would bring Perl.
    "--include=ca-certificates,python3,usr-is-merged",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "bookworm",
)


def can_make_bases() -> bool:
    """Whether this machine is one on which `make_bases` works."""
    return os.geteuid() == 0 and shutil.which("mmdebstrap") is not None


def make_bases(engine: Engine, folder: Path) -> None:
    """
    Make both images, a minute or two, unless they are there.

    Parameters
    ----------
    engine : Engine
    folder : pathlib.Path
        An existing one with room for 150 MB, for the time being.
    """
    if not engine.has(BASE_IMAGE):
        archive = folder / "base.tar"
        subprocess.run([*_MMDEBSTRAP, str(archive)], check=True)
        engine.run("import", str(archive), f"{BASE_IMAGE}-bare")
        archive.unlink()
        # As the official image has it, and no image of ours may.
        (folder / "Dockerfile").write_text(f"FROM {BASE_IMAGE}-bare\nRUN {_PIP}\n")
        engine.run("build", "--quiet", "--tag", BASE_IMAGE, str(folder))
    if not engine.has(BUILD_IMAGE):
        install = f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {' '.join(_COMPILER)}"
        (folder / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nRUN {install} >/dev/null\n")
        engine.run("build", "--quiet", "--network", "host", "--tag", BUILD_IMAGE, str(folder))
