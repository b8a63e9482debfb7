"""The socket that the service listens on, and what its connections take over from it."""

from __future__ import annotations

import socket

# How long the system holds what a caller does not take: one that never reads its answer, or is gone without a word.
# Every other state of a connection has a limit of its own (`app.server.limits`, `app.endpoints.body`).
UNREAD_PATIENCE_S = 30.0


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
        listener = socket.create_server((host, port), family=family, backlog=2048, dualstack_ipv6=is_dual)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]  # Python appends the address
        raise OSError(
            f"nothing can listen on {host} port {port} ({reason}); name another address in TREESERVE_HOST and "
            "TREESERVE_PORT"
        ) from None
    # All processes that accept from it share this, and Python's copies of a socket set it anew from their own: one that
    # blocks would leave another process waiting in accept().
    listener.setblocking(False)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_PATIENCE_S * 1000))
    return listener


def accept_waiting(listener: socket.socket) -> list[socket.socket]:
    """Accept every connection that the system has made already, and wait for none."""
    listener.setblocking(False)
    accepted = []
    while True:
        try:
            accepted.append(listener.accept()[0])
        except OSError:  # there is none, or no descriptor for one
            return accepted
