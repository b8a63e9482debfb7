"""The registry, its artifacts, the cache folder or the disk fail while callers ask: what serves goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.faults.conftest import Follow, Record
from tests.e2e.faults.registry import ALIAS_URI, Registry
from tests.e2e.servers import Server, Start
from tests.http_servers import serving
from tests.services import wait

pytestmark = pytest.mark.faults


def wait_for_state(server: Server, state: str) -> dict[str, Any]:
    """The champion's standing, once it is in a state."""
    for _ in wait(90, every_s=0.1):
        standing: dict[str, Any] = server.get("/model").json()["rollout"]["champion"]
        if standing["state"] == state:
            break
    return standing


class Garbage(BaseHTTPRequestHandler):
    """Answers everything with 200 and a page that no registry would write."""

    def do_GET(self) -> None:
        page = b"<html>Welcome to nginx!" * 1000
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def garbage_at(uri: str) -> Iterator[None]:
    """Let somebody else answer there."""
    with serving(ThreadingHTTPServer(("127.0.0.1", urlsplit(uri).port or 0), Garbage)):
        yield


def test_registry_killed_and_returned(follow: Follow, registry: Registry, record: Record) -> None:
    """Nobody listens where the registry was, then somebody else who answers garbage, and then it is back."""
    server = follow()
    with registry.load(server.port) as load:
        registry.stop()
        try:
            assert "does not answer" in wait_for_state(server, "unconfirmed")["reason"]
            load.go_on()
            with garbage_at(registry.uri):
                for _ in wait(90, every_s=0.1):
                    if "does not answer as one" in str(wait_for_state(server, "unconfirmed")["reason"]):
                        break
                load.go_on()
            restarted = follow()
            assert restarted.predict(registry.instances[0]) == registry.expected["1"][:1]
            assert wait_for_state(restarted, "unconfirmed")["version"] == "1"
        finally:
            registry.start()
        registry.promote("2")
        took_s = load.wait_for("2")
    load.assert_flawless()
    record(
        load,
        "version 1 serves on, unconfirmed, and so does a process that starts meanwhile; version 2, promoted when the "
        f"registry is back, serves {took_s:.1f} s later",
    )


def test_registry_hung_and_returned(follow: Follow, registry: Registry, record: Record) -> None:
    """The registry takes connections and never answers, and then goes on."""
    server = follow()
    with registry.load(server.port) as load:
        load.go_on()
        before = load.take_waits()
        registry.hang()
        try:
            for _ in range(3):
                server.post("/model/refresh")
                load.go_on()
            during = load.take_waits()
            wait_for_state(server, "unconfirmed")
        finally:
            registry.go_on()
        registry.promote("2")
        took_s = load.wait_for("2")
    load.assert_flawless()
    record(
        load,
        f"p99 {1000 * before.p99_s:.1f} ms before and {1000 * during.p99_s:.1f} ms while it hangs; version 2, promoted "
        f"when it goes on, serves {took_s:.1f} s later",
    )


def test_artifacts_gone(follow: Follow, registry: Registry, record: Record) -> None:
    """The registry names a version whose files are not there any more, and then one that has them."""
    server = follow()
    version = registry.log_without_files()
    with registry.load(server.port) as load:
        registry.promote(version)
        rejected = wait_for_state(server, "rejected")["rejected"]
        load.go_on()
        registry.promote("2")
        load.wait_for("2")
    assert rejected["version"] == version
    load.assert_flawless()
    record(load, "rejected with the artifact store's reason; version 1 serves on, and then version 2")


def test_disk_full(follow: Follow, registry: Registry, record: Record, tmp_path: Path) -> None:
    """The cache folder's disk has no room for the next version; a process that starts then has none for anything."""
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk for a process")
    full = tmp_path / "disk"
    full.mkdir()
    on_small_disk = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=400k none {full} && exec "$@"', "sh"]
    version = registry.log_large(1_000_000)
    server = follow(prefix=on_small_disk, TREESERVE_CACHE_DIR=str(full))
    with registry.load(server.port) as load:
        registry.promote(version)
        rejected = wait_for_state(server, "rejected")["rejected"]
        load.go_on()
        registry.promote("2")
        load.wait_for("2")
    assert "could not be kept in TREESERVE_CACHE_DIR" in rejected["reason"]
    load.assert_flawless()
    record(load, "a version of 1 MB is rejected on a disk of 400 KB, and version 1 serves on; then version 2")


def test_cache_corrupted(follow: Follow, start: Start, registry: Registry, record: Record, tmp_path: Path) -> None:
    """Every file of the cache folder is damaged under a running service, and others start from it."""
    cache = tmp_path / "cache"
    server = follow(TREESERVE_CACHE_DIR=str(cache))
    with registry.load(server.port) as load:
        damage_all(cache)
        restarted = follow(TREESERVE_CACHE_DIR=str(cache))
        load.go_on()
        damage_all(cache)
        registry.hang()
        try:
            cut_off = start(
                TREESERVE_MODEL_URI=ALIAS_URI,
                MLFLOW_TRACKING_URI=registry.uri,
                TREESERVE_CACHE_DIR=str(cache),
                TREESERVE_PAYLOAD_LOG="off",
            )
            for _ in wait(90, every_s=0.1):
                if any(line["log.level"] == "critical" for line in cut_off.lines()):
                    break
            assert cut_off.get("/readyz").status_code == 503
        finally:
            registry.go_on()
    with registry.load(restarted.port) as of_restarted:
        of_restarted.go_on(50)
    of_restarted.assert_flawless()
    load.assert_flawless()
    record(
        load,
        "the running service does not notice; one that starts throws all away and downloads it again; one that starts "
        "while the registry hangs is not ready, rather than wrong",
    )


def damage_all(cache: Path) -> None:
    """Change a byte in the middle of every file but the locks."""
    for file in cache.rglob("*"):
        if file.is_file() and file.stat().st_size:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 0xFF
            os.truncate(file, 0)
            file.write_bytes(content)
