"""The identity of one request, kept in its ASGI scope."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers

from app.ecs import trace_id

_KEY = "treeserve.request"
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True)
class RequestContext:
    """
    One request's identity.

    Attributes
    ----------
    request_id : str
        The caller's `X-Request-ID` if it is 1 to 128 printable ASCII characters, else a new one.
    trace_id : str or None
        From a valid `traceparent`.
    at_s : float
        When it came, in seconds since the epoch.
    """

    request_id: str
    trace_id: str | None
    at_s: float = field(default_factory=time.time)


def request_context(scope: MutableMapping[str, Any]) -> RequestContext:
    """The context of the request that this scope belongs to."""
    context = scope[_KEY]
    assert isinstance(context, RequestContext)
    return context


def open_request_context(scope: MutableMapping[str, Any]) -> RequestContext:
    """Give a request its context, from its headers."""
    headers = Headers(scope=scope)
    given = headers.get("x-request-id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    context = scope[_KEY] = RequestContext(request_id, trace_id(headers.get("traceparent")))
    return context
