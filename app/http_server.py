"""The web server around the app: uvicorn on a socket of ours, and what its HTTP protocol does not do by itself."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httptools
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.endpoints.short_way import ShortWay

# A request's line and headers, and whatever else comes in one piece with their end; several times what callers send.
MAX_HEAD_BYTES = 64 * 1024
# How long a head may take, once to twice.
HEAD_PATIENCE_S = 20.0
# Long enough for a large batch to be answered, short enough for Kubernetes' 30 s.
_DRAIN_S = 20


def listen(host: str, port: int) -> socket.socket:
    """
    Listen on an address; with `::` on IPv4 too, where the machine can.

    Raises
    ------
    OSError
        If it cannot be had: it is taken, is none of this machine's, or needs more rights. The text says what to set.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_dual = host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((host, port), family=family, backlog=2048, dualstack_ipv6=is_dual)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]  # Python appends the address
        raise OSError(
            f"nothing can listen on {host} port {port} ({reason}); name another address in TREESERVE_HOST and "
            "TREESERVE_PORT"
        ) from None


def make_server(app: FastAPI) -> uvicorn.Server:
    """A server that answers with the app; run it on the sockets that it shall accept from."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=HttpProtocol,
            proxy_headers=False,  # nobody asks for the caller's address
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
    )


class HttpProtocol(HttpToolsProtocol):
    """
    Answers a request at once where the app has a short way for it, loses no body to an offer, and limits headers.

    Java's own client and ``curl --http2`` send ``Upgrade: h2c`` with their first request. RFC 9110 (7.8) lets a server
    ignore it; the parser takes what follows the head for the other protocol, and the body would be lost.
    """

    def __init__(self, config: uvicorn.Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._short_way: ShortWay | None = getattr(config.app, "short_way", None)
        self._body: list[bytes] | None = None  # of a request that may go the short way, as far as it has come
        self._is_in_head = True  # what comes next belongs to a head, or to no request yet
        self._n_head_bytes = 0
        self._n_heads = 0
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to watch how long heads take."""
        super().connection_made(transport)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what the connection has kept."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes from the connection."""
        self._unset_keepalive_if_required()
        was_in_head, n_heads = self._is_in_head, self._n_heads
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._body = None
            text = "Invalid HTTP request received."
            self.logger.warning(text)
            self.send_400_response(text)
        if self._body is not None:  # there is more to come, and to wait for
            self._go_on_in_the_app()
        if was_in_head and n_heads == self._n_heads:  # all of it was
            self._n_head_bytes += len(data)
            if self._n_head_bytes > MAX_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", b"more than %d bytes of headers" % MAX_HEAD_BYTES)

    def _watch_head(self, head: int | None = None) -> None:
        """Close a connection whose head, the one of this number, was not whole the last time either."""
        is_waiting = self._is_in_head and (self._n_head_bytes > 0 or self._n_heads == 0)
        if is_waiting and head == self._n_heads:
            self._refuse(b"408 Request Timeout", b"the headers did not come within %d s" % HEAD_PATIENCE_S)
        elif not self.transport.is_closing():
            self._watch = self.loop.call_later(HEAD_PATIENCE_S, self._watch_head, self._n_heads if is_waiting else None)

    def _refuse(self, status: bytes, text: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n" % len(text)
            self.transport.write(b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, head, text))
        self.transport.close()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            (n_read,) = offer.args
            head = self._head_without_offer()
            # The parser is lost to the other protocol; another one begins with the head that makes no offer.
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self.parser.feed_data(head)
            self._feed(data[n_read:])

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the body may come in the same piece, or the head is read again without its offer."""
        self._is_in_head = False
        self._n_heads += 1
        self._n_head_bytes = 0
        if self._may_be_short():
            self._body = []
        elif not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take in a piece of the body."""
        if self._body is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer at once, or note that the body is whole."""
        self._is_in_head = True
        if self._body is not None:
            if self._answer_at_once(b"".join(self._body)):
                self._body = None
                self.on_response_complete()
                return
            self._go_on_in_the_app()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _may_be_short(self) -> bool:
        return (
            self._short_way is not None
            and self.url == self._short_way.target
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)  # else another answer comes first
            and not self.flow.write_paused  # a caller who does not read
        )

    def _answer_at_once(self, body: bytes) -> bool:
        assert self._short_way is not None
        answer = self._short_way.answer(self.headers, body)
        if answer is None:
            return False
        head = b"".join([b"%b: %b\r\n" % header for header in self.server_state.default_headers])
        self.transport.write(b"HTTP/1.1 200 OK\r\n" + head + answer)
        return True

    def _go_on_in_the_app(self) -> None:
        """Give the app what has come so far."""
        assert self._body is not None
        pieces, self._body = self._body, None
        super().on_headers_complete()
        for piece in pieces:
            super().on_body(piece)

    def _head_without_offer(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":  # is an offer by itself, and to nothing that this server does
            raise httptools.HttpParserInvalidMethodError
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                options = [option for option in value.split(b",") if option.strip().lower() != b"upgrade"]
                lines.append(b"connection: " + b",".join(options))
            elif name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"\r\n"])
