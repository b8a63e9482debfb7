"""The project as a clone of it would be, with what has not been committed yet."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.processes import PROJECT


def copy_project(folder: Path) -> Path:
    """The project's files as they are now, in another folder, with nothing made yet."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder
