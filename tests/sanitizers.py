"""Builds the compiled parts with AddressSanitizer and UndefinedBehaviorSanitizer, and runs Python on them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

PROJECT = Path(__file__).parents[1]  # not from tests.processes, whose imports take seconds under the sanitizers
KERNEL, CODEC, COUNTING = "app.forest._kernel", "app.wire._codec", "app.observed._counting"
SOURCES = {
    KERNEL: PROJECT / "app" / "forest" / "kernel",
    CODEC: PROJECT / "app" / "wire" / "codec",
    COUNTING: PROJECT / "app" / "observed" / "counting",
}

# Puts an extension of another place where the package has its own, then goes on as `python -m` does.
_RUN = """
import importlib, importlib.util, runpy, sys
sys.modules["sklearn"] = None  # xgboost takes seconds to import it
path, name, module, *sys.argv[1:] = sys.argv[1:]
package, _, last = name.rpartition(".")
spec = importlib.util.spec_from_file_location(name, path)
extension = sys.modules[name] = importlib.util.module_from_spec(spec)
setattr(importlib.import_module(package), last, extension)
spec.loader.exec_module(extension)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def build_sanitized(folder: Path, sources: Path) -> Path:
    """Compile an extension's sources into a folder; its path."""
    target = folder / "sanitized.so"
    flags = ["-std=c11", "-g", "-O1", "-fno-omit-frame-pointer", "-fno-strict-aliasing", "-ffp-contract=off"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    include = f"-I{sysconfig.get_path('include')}"
    files = [str(source) for source in sorted(sources.glob("*.c"))]
    command = ["gcc", *flags, *sanitizers, "-shared", "-fPIC", include, *files, "-lm", "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def run_sanitized(path: Path, name: str, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module with this extension in place of the package's; it ends at the first false access."""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    environment = os.environ | {
        "LD_PRELOAD": found.stdout.strip(),  # it has to be there before anything else takes memory
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until it ends
        "PYTHONMALLOC": "malloc",  # or it would hand out parts of its own arenas, which nobody watches
    }
    return subprocess.run(
        [sys.executable, "-c", _RUN, str(path), name, module, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=24 * 3600,
    )


if __name__ == "__main__":
    import tempfile

    status = 0
    for extension, sources in SOURCES.items():
        with tempfile.TemporaryDirectory() as place:
            built = build_sanitized(Path(place), sources)
            ended = run_sanitized(built, extension, "tests.fuzz", extension, *sys.argv[1:])
        print(extension, ended.stdout + ended.stderr)
        status = status or ended.returncode
    sys.exit(status)
