"""
What this machine's pip was told of package indexes and certificates, for a build to use and no layer to keep.

Behind a mirror or a proxy with a certificate of its own, a build that does not know them fails where pip itself works.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

# Others, such as `find-links`, name what is on this machine alone.
_TAKEN = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
_CERTIFICATES = "/etc/pip-ca.pem"  # where the Dockerfile mounts them


def write_secrets(folder: Path) -> dict[str, Path]:
    """
    Write pip's configuration as a build's secrets.

    Parameters
    ----------
    folder : pathlib.Path
        An existing one, for nobody else to read.

    Returns
    -------
    dict of str to pathlib.Path
        By the id that the Dockerfile mounts each by; empty where pip was told nothing.
    """
    settings = _pip_settings()
    lines = [f"{name} = {' '.join(settings[name].split())}" for name in _TAKEN if name in settings]
    secrets = {}
    if certificates := settings.get("cert"):
        lines.append(f"cert = {_CERTIFICATES}")
        secrets["ca.pem"] = Path(certificates)
    if lines:
        secrets["pip.conf"] = folder / "pip.conf"
        secrets["pip.conf"].write_text("\n".join(["[global]", *lines, ""]))
    return secrets


def _pip_settings() -> dict[str, str]:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings = {}
    # Each is `global.index-url='…'`, `install.…` or `:env:.index-url='…'`, of which the last goes before the others.
    for line in sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    return settings
