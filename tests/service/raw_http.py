"""HTTP byte by byte: a server in this process around an app that echoes, and callers who do as they like."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.drain import Drain
from app.endpoints.middleware import RequestMiddleware
from app.endpoints.overload import Overload
from app.metrics import Metrics
from app.server.listener import listen
from app.server.server import Server, make_server
from tests.services import WAIT_S

Address = tuple[str, int]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was asked: path, headers and body."""
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    answer = json.dumps([scope["method"], scope["path"], scope["query_string"].decode(), headers, body.decode()])
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer.encode()))]}
    )
    await send({"type": "http.response.body", "body": answer.encode()})


def working(way: Answering) -> ASGIApp:
    """Answer like `echo`, to what the short way declines as work that lasts until it may end."""

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()

        async def receive_again() -> Message:
            nonlocal first
            message, first = first, {}
            return message or await receive()

        if scope["path"] != way.path:
            await echo(scope, receive_again, send)
            return
        while first["more_body"]:
            more = await receive()
            first = {**more, "body": first["body"] + more["body"]}
        with way.overload.work():
            while not way.may_end.is_set():
                await asyncio.sleep(0.005)
            await echo(scope, receive_again, send)

    return work


class Answering:
    """A short way that answers bodies of at least three bytes, in capitals, once it may; it notes what it was asked."""

    path = "/predict"
    target = b"/predict"

    def __init__(self, metrics: Metrics, drain: Drain, limit: int = 100) -> None:
        self.overload = Overload(limit, self.path, metrics, drain)
        self.asked: list[bytes] = []
        self.may_answer, self.may_end = threading.Event(), threading.Event()
        self.may_answer.set()
        self.may_end.set()

    def answer(self, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes | None:
        self.asked.append(body)
        assert self.may_answer.wait(WAIT_S)
        return None if len(body) < 3 else b"content-length: %d\r\n\r\n%b" % (len(body), body.upper())


@dataclass
class Echo:
    """A running server."""

    server: Server
    address: Address
    way: Answering
    collectors: CollectorRegistry
    running: threading.Thread

    def connect(self) -> socket.socket:
        """A new connection."""
        caller = socket.create_connection(self.address, timeout=WAIT_S)
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return caller


@contextmanager
def run_echo(*, is_short: bool = True, limit: int = 100, drain: Drain | None = None) -> Iterator[Echo]:
    """Run a server around `echo`, with a short way unless `is_short` is False, and end it."""
    drain = drain or Drain(0, 20)
    collectors = CollectorRegistry()
    metrics = Metrics(collectors)
    app = FastAPI(openapi_url=None)
    way = Answering(metrics, drain, limit)
    app.mount("/", RequestMiddleware(working(way), metrics, drain) if is_short else echo)
    if is_short:
        app.short_way = way  # type: ignore[attr-defined]
    listener = listen("127.0.0.1", 0)
    address = listener.getsockname()
    server = make_server(app, drain, metrics)
    running = threading.Thread(target=server.run, args=([listener],), daemon=True)
    running.start()
    yield Echo(server, address, way, collectors, running)
    server.should_exit = True
    running.join(WAIT_S)
    assert not running.is_alive()


def request(body: bytes, *headers: bytes, path: bytes = b"/predict?a=%201") -> bytes:
    """A POST with a Content-Length."""
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n" + b"".join(headers) + b"\r\n" + body


def talk(address: Address, *pieces: bytes) -> list[tuple[int, bytes]]:
    """Send pieces one by one; status and body of every answer until the server closes."""
    with socket.create_connection(address, timeout=WAIT_S) as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            caller.sendall(piece)
        received = b"".join(iter(lambda: caller.recv(65_536), b""))
    answers = []
    while received:
        status, _, body, received = split_answer(received)
        answers.append((status, body))
    return answers


def read_answer(caller: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer; fails if more than that has come."""
    received = b""
    while True:
        more = caller.recv(65_536)
        assert more, f"closed after {received!r}"
        received += more
        if b"\r\n\r\n" in received:
            status, headers, body, rest = split_answer(received)
            if len(body) == int(headers["content-length"]):
                assert not rest
                return status, headers, body


def split_answer(received: bytes) -> tuple[int, dict[str, str], bytes, bytes]:
    """Status, headers and body of an answer, and what comes after it."""
    head, _, rest = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    length = int(headers["content-length"])
    return int(status.split()[1]), headers, rest[:length], rest[length:]
