"""Builds the kernel with AddressSanitizer and UndefinedBehaviorSanitizer, and runs Python on it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.processes import PROJECT

# Puts a kernel of another place where the package has its own, then goes on as `python -m` does.
_RUN = """
import importlib.util, runpy, sys
sys.modules["sklearn"] = None  # xgboost takes seconds to import it
path, module, *sys.argv[1:] = sys.argv[1:]
import app.forest
spec = importlib.util.spec_from_file_location("app.forest._kernel", path)
app.forest._kernel = sys.modules["app.forest._kernel"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(app.forest._kernel)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def build_sanitized_kernel(folder: Path, sources: Path) -> Path:
    """Compile the sources into a folder; the extension's path."""
    target = folder / "_kernel.so"
    flags = ["-std=c11", "-g", "-O1", "-fno-omit-frame-pointer", "-fno-strict-aliasing", "-ffp-contract=off"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    include = f"-I{sysconfig.get_path('include')}"
    files = [str(source) for source in sorted(sources.glob("*.c"))]
    command = ["gcc", *flags, *sanitizers, "-shared", "-fPIC", include, *files, "-lm", "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def run_sanitized(kernel: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module with this kernel; the process ends at the first false access."""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    environment = os.environ | {
        "LD_PRELOAD": found.stdout.strip(),  # it has to be there before anything else takes memory
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until it ends
        "PYTHONMALLOC": "malloc",  # or it would hand out parts of its own arenas, which nobody watches
    }
    return subprocess.run(
        [sys.executable, "-c", _RUN, str(kernel), module, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        built = build_sanitized_kernel(Path(place), PROJECT / "app" / "forest" / "kernel")
        ended = run_sanitized(built, *sys.argv[1:])
    print(ended.stdout + ended.stderr)
    sys.exit(ended.returncode)
