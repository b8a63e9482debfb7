"""`make audit` with the real pip-audit, and a server that stands for OSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from delivery.audit import LeftOut, audit
from delivery.errors import DeliveryFailed
from tests.http_servers import serving
from tests.processes import PROJECT

PIP_AUDIT = PROJECT / "build" / "delivery" / "environment" / "bin" / "pip-audit"
LOCK = PROJECT / "requirements" / "bootstrap.txt"
KNOWN = {
    "id": "GHSA-0000-0000-0001",
    "summary": "planted",
    "details": "planted",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "affected": [{"package": {"name": "setuptools", "ecosystem": "PyPI"}, "versions": []}],
}

pytestmark = pytest.mark.skipif(not PIP_AUDIT.is_file(), reason="pip-audit is not installed (make audit)")


@contextmanager
def osv(known: dict[str, Any], asked: list[str]) -> Iterator[str]:
    """A server that knows something of some packages; where."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(query["package"]["name"])
            text = json.dumps({"vulns": [known[asked[-1]]]} if asked[-1] in known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Answer)) as url:
        yield f"{url}/v1/query"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was answered before, and no proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")


def test_every_locked_package_is_asked_about() -> None:
    asked: list[str] = []
    with osv({}, asked) as service:
        audit(PIP_AUDIT, [LOCK], [], service)
    assert {"setuptools", "uv"} <= set(asked)


def test_a_known_vulnerability_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with osv({"setuptools": KNOWN}, []) as service, pytest.raises(DeliveryFailed, match="does not pass"):
        audit(PIP_AUDIT, [LOCK], [], service)
    assert "GHSA-0000-0000-0001" in capfd.readouterr().out


def test_an_exception_leaves_one_out_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    left_out = LeftOut("GHSA-0000-0000-0001", "setuptools", "planted", date(2026, 1, 1))
    with osv({"setuptools": KNOWN}, []) as service:
        audit(PIP_AUDIT, [LOCK], [left_out], service)
    assert "left out until 2026-01-01: GHSA-0000-0000-0001 of setuptools: planted" in capfd.readouterr().out


def test_what_cannot_be_asked_about_does_not_pass() -> None:
    with pytest.raises(DeliveryFailed):
        audit(PIP_AUDIT, [LOCK], [], "http://127.0.0.1:1/v1/query")
