"""uvicorn's server, with an end in order: not ready first, then accepting no longer, then answering what is there."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.drain import Drain
from app.metrics import Metrics
from app.server.listener import accept_waiting
from app.server.protocol import DrainState, HttpProtocol
from app.server.unparsed import Unparsed

log = logging.getLogger(__name__)

# How long, after the grace, a connection without a request is still kept: one may be on its way.
LINGER_S = 1.0
_TICK_S = 0.02
# uvloop accepts one connection from a socket in each round of the event loop, and a round takes milliseconds where
# there is much to do: a probe, whose connection is new, would wait as many rounds as there are new connections before
# it. So it is given the socket several times; more of them would cost more for each connection.
_ACCEPTS_A_ROUND = 16
# In which requests that are given up are answered.
_LAST_WORDS_S = 1.0
# Where a parent has ended, Linux says so once for each of its threads.
_ONE_SIGNAL_S = 0.2


def make_server(app: FastAPI, drain: Drain, metrics: Metrics) -> Server:
    """A server that answers with the app; run it on the sockets that it shall accept from."""
    return Server(
        uvicorn.Config(
            app,
            http=HttpProtocol,
            proxy_headers=False,  # nobody asks for the caller's address
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
        ),
        drain,
        Unparsed(metrics),
    )


class Server(uvicorn.Server):
    """Ends as its `Drain` says."""

    def __init__(self, config: uvicorn.Config, drain: Drain, unparsed: Unparsed) -> None:
        super().__init__(config)
        self._drain = drain
        self.server_state: DrainState = DrainState(drain, unparsed)
        self._told_at = 0.0
        self._is_told = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on sockets until the end."""
        super().run([copy for given in sockets or [] for copy in (given, *_copies(given, _ACCEPTS_A_ROUND - 1))])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  as uvicorn calls it
        """Begin to end at the first signal; a second one ends the grace. Ctrl-C has none: nobody balances its load."""
        if not self._drain.has_begun:
            self._told_at = time.monotonic()
            self._drain.begin(with_grace=sig == signal.SIGTERM)
        elif time.monotonic() - self._told_at > _ONE_SIGNAL_S:
            self._drain.end_grace()

    async def on_tick(self, counter: int) -> bool:
        """Do what is done ten times a second; whether to stop."""
        should_exit = await super().on_tick(counter)
        self.server_state.head = b"".join([b"%b: %b\r\n" % header for header in self.server_state.default_headers])
        if not self._drain.has_begun:
            return should_exit
        if not self._is_told:
            self._is_told = True
            log.info("told to end: not ready any more, each answer is its connection's last")
        return should_exit or not self._drain.is_in_grace

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no longer, answer what is there, and end the app."""
        self._drain.begin(with_grace=False)  # where it ends by itself
        log.info("ending: %d connections are open, %d requests in flight", *self._count())
        await self._stop_listening(sockets or [])
        await self._finish_requests()
        await self.lifespan.shutdown()

    def _count(self) -> tuple[int, int]:
        return len(self.server_state.connections), len(self.server_state.tasks)

    async def _stop_listening(self, listeners: list[socket.socket]) -> None:
        # What the system has accepted for us would be reset with the socket: a copy of it is emptied first.
        copies = [listener.dup() for listener in listeners]
        for server in self.servers:
            server.close()
        for listener in listeners:
            listener.close()
        accepted = []
        for copy in copies:
            accepted += accept_waiting(copy)
            copy.close()
        loop = asyncio.get_running_loop()
        for connection in accepted:
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._make_protocol, connection)

    def _make_protocol(self) -> asyncio.Protocol:
        return HttpProtocol(self.config, self.server_state, self.lifespan.state)

    async def _finish_requests(self) -> None:
        loop = asyncio.get_running_loop()
        lingers_until = loop.time() + LINGER_S
        connections, tasks = self.server_state.connections, self.server_state.tasks
        while (connections or tasks) and self._drain.requests_s:
            if loop.time() >= lingers_until:
                for connection in list(connections):
                    connection.close_if_idle()  # type: ignore[union-attr]  # all are ours
            await asyncio.sleep(_TICK_S)
        if tasks:
            log.warning("%d requests could not be answered in time; they get 503", len(tasks))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_LAST_WORDS_S)


def _copies(listener: socket.socket, n: int) -> list[socket.socket]:
    return [listener.dup() for _ in range(n)]
