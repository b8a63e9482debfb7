"""The web server around the app: uvicorn on a socket of ours, and what its HTTP protocol does not do by itself."""

from __future__ import annotations

import socket

import httptools
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
    )


class HttpProtocol(HttpToolsProtocol):
    """
    Answers a request that offers to go on in another protocol as if it did not.

    Java's own client and ``curl --http2`` send ``Upgrade: h2c`` with their first request. RFC 9110 (7.8) lets a server
    ignore it; the parser takes what follows the head for the other protocol, and the body would be lost.
    """

    def data_received(self, data: bytes) -> None:
        """Take in bytes from the connection."""
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            text = "Invalid HTTP request received."
            self.logger.warning(text)
            self.send_400_response(text)

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
        """Begin to answer, unless the head has to be read again without its offer."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body is whole."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

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
