"""A real HTTP server that answers as MLflow does, or worse."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.http_servers import serving

FOUND = {"model_version": {"name": "flight-delay", "version": "7", "status": "READY", "run_id": "r7", "source": "x"}}


class FakeServer:
    """
    Answers with `status` and `body`, or with what `answers` has for the path, and keeps what it was asked.

    It waits for `delay_s` first; where `drips` is set, it sends from there on a byte at a time, for ten seconds.
    """

    def __init__(self) -> None:
        self.status = 200
        self.body = json.dumps(FOUND).encode()
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.delay_s = 0.0
        self.drips: str | None = None
        self.ended = threading.Event()
        self.asked: list[tuple[str, dict[str, list[str]], str | None]] = []
        mlflow = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                mlflow.asked.append((parts.path, parse_qs(parts.query), self.headers["Authorization"]))
                mlflow.ended.wait(mlflow.delay_s)
                if mlflow.drips == "headers":
                    self.drip(b"HTTP/1.1 200 OK\r\nX-Long: ")
                path = parts.path.partition("/api/2.0/mlflow/")[2]
                status, body = mlflow.answers.get(path, (mlflow.status, mlflow.body))
                self.send_response(status)
                self.send_header("Content-Length", str(10**9 if mlflow.drips else len(body)))
                self.end_headers()
                if mlflow.drips == "body":
                    self.drip(b"{")
                self.wfile.write(body)

            def drip(self, begin: bytes) -> None:
                self.wfile.write(begin)
                for _ in range(1000):
                    if mlflow.ended.wait(0.01):
                        break
                    self.wfile.write(b" ")

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A caller that gave up is what a test is about."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.http.server_port}"
        self.uri = f"http://{self.host}"

    @contextmanager
    def running(self) -> Iterator[FakeServer]:
        """Answer from a thread of its own."""
        with serving(self.http):
            yield self
            self.ended.set()

    def fail(self, status: int, code: str, message: str) -> None:
        """Answer as MLflow answers an error."""
        self.status, self.body = status, json.dumps({"error_code": code, "message": message}).encode()

    def have(self, path: str, answer: object) -> None:
        """Answer one question with success."""
        self.answers[path] = 200, json.dumps(answer).encode()
