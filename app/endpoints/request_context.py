"""The identity of one request, and what its headers say, kept in its ASGI scope."""

from __future__ import annotations

import random
import re
import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from app.ecs import trace_id

if TYPE_CHECKING:
    from app.tracing.spans import RequestSpan, Tracing

_KEY = "treeserve.request"
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,128}")


class RequestContext:
    """
    One request's identity.

    Attributes
    ----------
    headers : dict of bytes to bytes
        By their names in lower case; of one that comes twice, the last.
    request_id : str
        The caller's `X-Request-ID` if it is 1 to 128 printable ASCII characters, else a new one.
    trace_id : str or None
        From a valid `traceparent`, or of a trace that begins here.
    span : RequestSpan or None
        Where the request is traced.
    at_us : int
        When it came, in microseconds since the epoch.
    started_s : float
        The same by `time.perf_counter`.
    """

    __slots__ = ("at_us", "headers", "request_id", "span", "started_s", "trace_id")

    def __init__(self, headers: dict[bytes, bytes]) -> None:
        self.started_s = time.perf_counter()
        self.at_us = time.time_ns() // 1000
        self.headers = headers
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        # No secret, only one of its kind; sixteen random bytes of the system's take several times as long.
        self.request_id = given if _PRINTABLE.fullmatch(given) else f"{random.getrandbits(128):032x}"
        traceparent = headers.get(b"traceparent")
        self.trace_id = None if traceparent is None else trace_id(traceparent.decode("latin-1"))
        self.span: RequestSpan | None = None

    def trace(self, tracing: Tracing) -> RequestSpan | None:
        """Open the request's span, if it is to be traced; its lines of the log have the same trace then."""
        self.span = tracing.open(self.headers, self.trace_id, self.at_us, self.started_s)
        if self.span is not None:
            self.trace_id = self.span.trace_id
        return self.span

    @property
    def caller_key(self) -> str:
        """The caller's `X-Caller-Key` if it is 1 to 128 printable ASCII characters, else the request's id."""
        given = self.headers.get(b"x-caller-key", b"").decode("latin-1")
        return given if _PRINTABLE.fullmatch(given) else self.request_id

    @property
    def has_body(self) -> bool:
        """Whether the headers announce one."""
        return self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers


def request_context(scope: MutableMapping[str, Any]) -> RequestContext:
    """The context of the request that this scope belongs to."""
    context = scope[_KEY]
    assert isinstance(context, RequestContext)
    return context


def open_request_context(scope: MutableMapping[str, Any]) -> RequestContext:
    """Give a request its context, from its headers."""
    context = scope[_KEY] = RequestContext(dict(scope["headers"]))
    return context
