"""How HTTP is read and answered: uvicorn's protocol, and the ways that are shorter than its own."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from uvicorn.server import ServerState

from app.drain import Drain
from app.endpoints.short_way import ShortWay
from app.server.limits import LimitedProtocol
from app.server.unparsed import Unparsed

# Requests that a caller may send before it has the answers.
_MAX_AHEAD = 32
# A body up to this size is read and forgotten when its request is refused, and the connection kept.
_MAX_DROPPED_BYTES = 64 * 1024
# The parser's words for one that has digits, and is none that it knows.
_WRONG_VERSION = "Invalid HTTP version"


class DrainState(ServerState):
    """
    What all connections share.

    Attributes
    ----------
    drain : Drain
    unparsed : Unparsed
    head : bytes
        The lines of `default_headers`, which change once a second.
    """

    def __init__(self, drain: Drain, unparsed: Unparsed) -> None:
        super().__init__()
        self.drain = drain
        self.unparsed = unparsed
        self.head = b""


class HttpProtocol(LimitedProtocol):
    """
    Answers or refuses a request at once where the app has a short way for it, and loses no body to an offer.

    Java's own client and ``curl --http2`` send ``Upgrade: h2c`` with their first request. RFC 9110 (7.8) lets a server
    ignore it; the parser takes what follows the head for the other protocol, and the body would be lost.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: DrainState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._state = server_state
        self._drain = server_state.drain
        self._short_way: ShortWay | None = getattr(config.app, "short_way", None)
        self._body: list[bytes] | None = None  # of a request that may go the short way, as far as it has come
        self._takes_no_more = False

    def data_received(self, data: bytes) -> None:
        """Take in bytes from the connection."""
        was_in_head, n_heads = self._is_in_head, self._n_heads
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._body = None
            is_version = str(error) == _WRONG_VERSION
            status = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED if is_version else HTTPStatus.BAD_REQUEST
            self.refuse(status, f"it cannot be read as HTTP/1.1: {error}", instead=True)
            return
        if self._body is not None:  # there is more to come, and to wait for
            self._go_on_in_the_app()
        if was_in_head and n_heads == self._n_heads:  # all of it was
            self.count_head(len(data))

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

    def refuse(self, status: HTTPStatus, text: str, *, instead: bool = False) -> None:
        """Count what is refused, too."""
        self._state.unparsed.note(status, text, self.client)
        super().refuse(status, text, instead=instead)

    def on_message_begin(self) -> None:
        """Begin to read a request; the scope is made where the app has to answer."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the body may come in the same piece, or the head is read again without its offer."""
        self.begin_body()
        if len(self.pipeline) >= _MAX_AHEAD and not self._takes_no_more:
            # Who sends so far ahead does not read, and each request that waits takes kilobytes.
            self._takes_no_more = True
            self.pipeline[0][0].keep_alive = False  # the last to have come is the last that is answered
        if self._takes_no_more or self.transport.is_closing():  # or the answer before was the last
            self._is_dropped = True
        elif self._short_way is not None and self._is_plain(self._short_way):
            if self._short_way.overload.is_full:
                self._refuse_at_once(self._short_way)
            else:
                self._body = []
        elif not self.parser.should_upgrade():
            self._begin_in_the_app()

    def on_body(self, body: bytes) -> None:
        """Take in a piece of the body."""
        if self._body is not None:
            self._body.append(body)
        elif not self._is_dropped:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer at once, or note that the body is whole."""
        self._is_in_head = True
        if self._is_dropped:
            self._is_dropped = False
            return
        if self._body is not None:
            if self._answer_at_once(b"".join(self._body)):
                self._body = None
                return
            self._go_on_in_the_app()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _is_plain(self, way: ShortWay) -> bool:
        return (
            self.url == way.target
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and self._is_answered()  # else another answer comes first
            and not self.flow.write_paused  # a caller who does not read
        )

    def _answer_at_once(self, body: bytes) -> bool:
        assert self._short_way is not None
        answer = self._short_way.answer(self.headers, body)
        if answer is None:
            return False
        self._short_way.overload.count(self.loop)
        self._write_answer(b"200 OK", answer, is_last=self._drain.has_begun)
        return True

    def _refuse_at_once(self, way: ShortWay) -> None:
        """Refuse a request before its body is read; the rest of a small one is taken in, and the connection kept."""
        self._is_dropped = True
        is_small = False
        for name, value in self.headers:
            if name == b"content-length":
                is_small = int(value) <= _MAX_DROPPED_BYTES  # the parser has seen that it is a number
        answer = way.overload.refuse()
        self._write_answer(b"503 Service Unavailable", answer, is_last=self._drain.has_begun or not is_small)

    def _write_answer(self, status: bytes, answer: bytes, *, is_last: bool) -> None:
        """Write headers of the server's, and the answer's own with its body; close after the connection's last."""
        last = b"connection: close\r\n" if is_last else b""
        self.transport.write(b"HTTP/1.1 %b\r\n%b%b%b" % (status, self._state.head, last, answer))
        if is_last:
            self.transport.close()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        way = self._short_way
        if way is not None and cycle.scope["path"] == way.path and way.overload.is_full:
            app = way.overload.app
        super()._start_asgi_task(cycle, app)

    def _go_on_in_the_app(self) -> None:
        """Give the app what has come so far."""
        assert self._body is not None
        pieces, self._body = self._body, None
        self._begin_in_the_app()
        for piece in pieces:
            super().on_body(piece)

    def _begin_in_the_app(self) -> None:
        url, headers, expects_100 = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # which makes the scope
        self.url, self.headers, self.expect_100_continue = url, headers, expects_100
        self.scope["headers"] = headers
        super().on_headers_complete()

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
