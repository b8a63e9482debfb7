"""What a connection may take: the size of a head, the time of one, and the time between two requests."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sized
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A request's line and headers, and whatever else comes in one piece with their end; several times what callers send.
MAX_HEAD_BYTES = 64 * 1024
# How long a head may take, once to twice.
HEAD_PATIENCE_S = 20.0
# How long a connection is kept without a request, at least. Load balancers close theirs after 60 s (nginx, AWS) and
# must be the first to do so: what they send while we close is lost.
KEEP_ALIVE_S = 75.0


class _Flow(FlowControl):
    """Does not read on while requests that were read wait: uvicorn's own reads as much for each answer as comes."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class LimitedProtocol(HttpToolsProtocol):
    """
    Gives each connection its limits.

    uvicorn's own timer for the time between requests is set and cleared with every request, which takes longer than
    reading one; here each connection is looked at now and then.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = True  # what comes next belongs to a head, or to no request yet
        self._n_head_bytes = 0
        self._n_heads = 0
        self._is_dropped = False  # the body that comes, for its request was refused
        self._watch: asyncio.TimerHandle | None = None
        self._seen: tuple[int, float] | None = None
        self._n_times_seen = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to watch how long it waits."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what the connection has kept."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin with the next request if it is there; as uvicorn does, without its timer."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            self.flow.resume_reading()

    def close_if_idle(self) -> None:
        """Close the connection unless a request, or a piece of one, has come over it."""
        if self._is_in_head and not self._n_head_bytes and self._is_answered():
            self.transport.close()

    def begin_body(self) -> None:
        """Note that a head is whole."""
        self._is_in_head = False
        self._n_heads += 1
        self._n_head_bytes = 0

    def count_head(self, n_bytes: int) -> None:
        """Note bytes that all belong to a head, and refuse it if they are too many."""
        self._n_head_bytes += n_bytes
        if self._n_head_bytes > MAX_HEAD_BYTES:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self.refuse(status, f"more than {MAX_HEAD_BYTES} bytes of headers")

    def refuse(self, status: HTTPStatus, text: str, *, instead: bool = False) -> None:
        """
        Refuse what is no request, and close the connection.

        Parameters
        ----------
        status : http.HTTPStatus
        text : str
            ASCII.
        instead : bool
            Say so even where an answer is due that there is not yet; otherwise only the end is to be seen then.
        """
        if instead or self._is_answered():
            own = (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))
            headers = [*self.server_state.default_headers, *own, (b"connection", b"close")]
            head = b"".join([b"%b: %b\r\n" % (name, value) for name, value in headers])
            line = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            self.transport.write(line.encode() + head + b"\r\n" + text.encode())
        self.transport.close()

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        """Close a connection that still waits for what it waited for the last time, or the last few times."""
        patience_s = self._patience_s()
        seen = (self._n_heads, patience_s)
        self._n_times_seen = self._n_times_seen + 1 if seen == self._seen else 0
        self._seen = seen
        if self._n_times_seen and self._n_times_seen * HEAD_PATIENCE_S >= patience_s:
            if self._is_dropped or patience_s == KEEP_ALIVE_S:
                self.transport.close()
            else:
                self.refuse(HTTPStatus.REQUEST_TIMEOUT, f"the headers did not come within {HEAD_PATIENCE_S:.0f} s")
        elif not self.transport.is_closing():
            self._watch = self.loop.call_later(HEAD_PATIENCE_S, self._look)

    def _patience_s(self) -> float:
        """How long the caller may take for what is awaited now."""
        if self._is_dropped:
            return HEAD_PATIENCE_S
        if not self._is_in_head or not self._is_answered():
            return math.inf  # the body has a limit of its own, and the answer is ours
        return HEAD_PATIENCE_S if self._n_head_bytes else KEEP_ALIVE_S  # some callers connect before they ask
