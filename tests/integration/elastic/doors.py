"""
What stands before the node in tests, for the two things that it has not: lifecycle management and Kibana's import.

The lifecycles and the import are written down and checked for their form alone; all else is the node's own answer.
"""

from __future__ import annotations

import email.parser
import email.policy
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

from tests.http_servers import serving

POLICIES = "/_ilm/policy/"
IMPORT = "/api/saved_objects/_import?overwrite=true"


@dataclass
class Doors:
    """
    An address that stands for Elasticsearch and for Kibana.

    Attributes
    ----------
    node : str or None
        Where everything else goes; None if all of it is taken as it is.
    authorization : str or None
        The header that is wanted.
    policies : dict
        The lifecycles, by name, and how often each was put.
    used : dict
        The lifecycle that each index template names.
    imported : list of dict
        The saved objects that came last.
    refusals : list of dict
        What the import answers as errors.
    """

    node: str | None
    url: str = ""
    authorization: str | None = None
    policies: dict[str, tuple[Any, int]] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    imported: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        if self.authorization not in (None, headers["Authorization"]):
            return 401, b'{"error": {"reason": "unable to authenticate"}, "status": 401}'
        if path.startswith(POLICIES):
            name = path.removeprefix(POLICIES)
            self.policies[name] = (json.loads(body)["policy"], self.policies.get(name, (None, 0))[1] + 1)
            return 200, b'{"acknowledged": true}'
        if path == IMPORT:
            return self._import(headers, body)
        document = json.loads(body)
        lifecycle = document["template"].get("settings", {}).get("index", {}).pop("lifecycle", None)
        if lifecycle is not None:
            if lifecycle["name"] not in self.policies:
                return 400, b'{"error": {"reason": "there is no such policy yet"}}'
            self.used[path.rpartition("/")[2]] = lifecycle["name"]
        if self.node is None:
            return 200, b'{"acknowledged": true}'
        passed_on = httpx2.request(method, self.node + path, json=document, trust_env=False, timeout=60)
        return passed_on.status_code, passed_on.content

    def _import(self, headers: Any, body: bytes) -> tuple[int, bytes]:
        if "kbn-xsrf" not in headers:
            return 400, b'{"statusCode": 400, "message": "Request must contain a kbn-xsrf header."}'
        whole = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body
        (part,) = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(whole).iter_parts()
        assert part.get_param("name", header="Content-Disposition") == "file"
        assert str(part.get_filename()).endswith(".ndjson")  # Kibana takes no other
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        self.imported = [json.loads(line) for line in content.splitlines()]
        answer = {"success": not self.refusals, "successCount": len(self.imported), "errors": self.refusals}
        return 200, json.dumps(answer).encode()


@contextmanager
def open_doors(node: str | None, tls: ssl.SSLContext | None = None) -> Iterator[Doors]:
    """Stand before a node, on a free port, until the end."""
    doors = Doors(node)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = doors.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST = answer  # noqa: N815  the standard library's names

        def log_message(self, *_: Any) -> None:
            """A test says what went wrong by itself."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with serving(server) as url:
        doors.url = url if tls is None else url.replace("http", "https", 1)
        yield doors
