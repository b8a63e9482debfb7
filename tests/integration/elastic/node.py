"""A real Elasticsearch node of one test session, on loopback and a free port."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.integration.elastic.tools import NODE_HOME
from tests.processes import clean_environment, free_port, run_process
from tests.services import wait

DATASETS = ("prediction", "profile", "feedback", "outcome", "service")
_STARTS_WITHIN_S = 120
_NOBODY = 65534
_HEAP = "-Xmx640m"
_SETTINGS = """\
discovery.type: single-node
network.host: 127.0.0.1
transport.port: 0
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
"""
_JVM = ["-Xms256m", _HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
_LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1.} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


@dataclass(frozen=True)
class Node:
    """A node that answers."""

    url: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Its answer, which is no error."""
        answer = httpx2.request(method, f"{self.url}{path}", json=body, trust_env=False, timeout=60)
        assert answer.status_code < 300, f"{method} {path}: {answer.text[:2000]}"
        return answer.json()

    def search(self, index: str, body: dict[str, Any]) -> Any:
        """What is found, once everything that was sent can be found."""
        self.ask("POST", f"/{index}/_refresh")
        return self.ask("POST", f"/{index}/_search?track_total_hits=true", body)

    def count(self, index: str) -> int:
        """How many documents there are; 0 where there is no such index."""
        self.ask("GET", "/_cluster/health?wait_for_no_initializing_shards=true&timeout=30s")
        self.ask("POST", f"/{index}/_refresh?ignore_unavailable=true")
        n_there: int = self.ask("GET", f"/{index}/_count?ignore_unavailable=true")["count"]
        return n_there

    def empty(self, stream: str) -> None:
        """Delete what is in data streams, if there are any of that name."""
        if self.count(stream):
            self.ask("POST", f"/{stream}/_delete_by_query?refresh=true", {"query": {"match_all": {}}})

    def index(self, stream: str, *documents: dict[str, Any]) -> list[dict[str, Any]]:
        """Send documents as Filebeat does; what came of each."""
        body = "".join(f'{{"create": {{}}}}\n{json.dumps(document)}\n' for document in documents)
        answer = httpx2.post(
            f"{self.url}/{stream}/_bulk?refresh=true",
            content=body,
            headers={"Content-Type": "application/x-ndjson"},
            trust_env=False,
            timeout=60,
        )
        return [item["create"] for item in answer.json()["items"]]


@contextmanager
def run_node() -> Iterator[Node]:
    """Start one, and end it with its data; as root, it runs as nobody."""
    folder = Path(tempfile.mkdtemp(prefix="treeserve-node-"))  # pytest's own folders are closed to nobody
    port = free_port()
    try:
        with run_process(_command(folder), _environment(folder, port), folder / "output") as process:
            node = Node(f"http://127.0.0.1:{port}")
            for _ in wait(_STARTS_WITHIN_S, every_s=0.2):
                assert process.poll() is None, _output(folder)
                try:
                    node.ask("GET", "/_cluster/health?wait_for_status=green&timeout=1s")
                    break
                except (AssertionError, httpx2.TransportError):
                    continue
            yield node
    finally:
        shutil.rmtree(folder)


def _environment(folder: Path, port: int) -> dict[str, str]:
    configuration = folder / "configuration"
    configuration.mkdir()
    (folder / "tmp").mkdir()
    paths = f"path.data: {folder / 'data'}\npath.logs: {folder / 'logs'}\nhttp.port: {port}\n"
    (configuration / "elasticsearch.yml").write_text(_SETTINGS + paths)
    (configuration / "jvm.options").write_text("\n".join([*_JVM, f"-Djava.io.tmpdir={folder / 'tmp'}"]))
    (configuration / "log4j2.properties").write_text(_LOGGING)
    if os.geteuid() == 0:
        for path in (folder, folder / "tmp", configuration, *configuration.iterdir()):
            os.chown(path, _NOBODY, _NOBODY)
    return clean_environment(
        folder,
        ES_HOME=str(NODE_HOME),
        ES_PATH_CONF=str(configuration),
        ES_TMPDIR=str(folder / "tmp"),
        ES_DISTRIBUTION_TYPE="zip",
        JAVA=shutil.which("java") or "java",
        JAVA_TYPE="ES_JAVA_HOME",
    )


def _command(folder: Path) -> list[str]:
    """The launcher, which starts the node as its child and ends with it."""
    as_nobody = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    properties = {
        "cli.name": "server",
        "cli.script": "bin/elasticsearch",
        "cli.libs": "lib/tools/server-cli",
        "es.path.home": str(NODE_HOME),
        "es.path.conf": str(folder / "configuration"),
        "es.distribution.type": "zip",
        "es.java.type": "ES_JAVA_HOME",
    }
    launcher = [f"-D{name}={value}" for name, value in properties.items()]
    jars = f"{NODE_HOME}/lib/*:{NODE_HOME}/lib/cli-launcher/*"
    at_home = ["env", "--chdir", str(NODE_HOME), "--unset=JAVA_TOOL_OPTIONS"]  # it looks for its modules where it is
    return [
        *at_home,
        *as_nobody,
        "java",
        "-Xmx64m",
        *launcher,
        "-cp",
        jars,
        "org.elasticsearch.launcher.CliToolLauncher",
    ]


def _output(folder: Path) -> str:
    return "".join((folder / "output" / name).read_text()[-2000:] for name in ("stdout", "stderr"))
