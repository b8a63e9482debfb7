"""Images as nodes take them in: the service's, as Podman has it, and one of nothing but a process that waits."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from pathlib import Path

from tests.cluster.tools import KUBERNETES

# Each pod has a process of it, which holds the pod's network and buries its orphans.
PAUSE_IMAGE = "localhost/pause:1"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_pause_image(archive: Path) -> None:
    """Write the archive of `PAUSE_IMAGE`, in the form of ``docker save``."""
    layer = _tar({"pause": (KUBERNETES.folder / "pause").read_bytes()})
    config = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    files = {"layer.tar": layer, "config.json": _json(config), "manifest.json": _json(manifest)}
    archive.write_bytes(_tar(files))


def save_image(image: str, archive: Path) -> None:
    """Write the archive of an image that Podman has."""
    command = ["podman", "save", "--quiet", "--format", "docker-archive", "--output", str(archive), image]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr


def _tar(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
