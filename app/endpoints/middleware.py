"""
What is true of every request: it has an id and a clear head, it is timed and counted, and it always gets an answer.

The outermost ASGI layer of ours, so that nothing inside can forget it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.drain import Drain
from app.endpoints.head import check_head
from app.endpoints.problem import answer_http_exception, answer_serving_error
from app.endpoints.request_context import RequestContext, open_request_context
from app.errors import HeadRefused, ServiceEnding, ServingError
from app.metrics import UNPARSED, Metrics

if TYPE_CHECKING:
    from app.tracing.spans import Tracing

log = logging.getLogger(__name__)

# nginx's number for a caller who went away before there was an answer; nobody receives it.
_CLIENT_CLOSED_REQUEST = 499
# One label for all paths that are no route of ours, so that nobody can fill the memory with labels.
_OTHER_ROUTE = "other"

_ENDING = "The service has to end now and cannot finish this request; send it again."
_FAILED = "It is not the request's fault; the log has this request id with the reason."


class RequestMiddleware:
    """Identifies, times, counts, traces and, where the code inside fails, answers each request."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        drain: Drain,
        route: str | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """
        Wrap an app.

        Parameters
        ----------
        route : str or None
            The only route that the app has; None asks the scope which one was taken.
        tracing : Tracing or None
            Traces what is posted: neither probes nor scrapes.
        """
        self._app = app
        self._metrics = metrics
        self._drain = drain
        self._route = route
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = open_request_context(scope)
        if self._tracing is not None and scope["method"] == "POST":
            context.trace(self._tracing)
        if scope["method"] == "HEAD":
            # As GET, to all that comes after; the server, which has the scope as it was, leaves the body away.
            scope = {**scope, "method": "GET"}
        status, route = 0, self._route
        is_body_read = not context.has_body

        async def receive_noting_the_end() -> Message:
            nonlocal is_body_read
            message = await receive()
            is_body_read = is_body_read or not message.get("more_body", False)
            return message

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", context.request_id.encode("ascii"))]
                if not is_body_read or self._drain.has_begun:
                    # Refused unread: the server would otherwise take in all the rest to find the next request. Or told
                    # to end: the caller's next request goes to another process.
                    own.append((b"connection", b"close"))
                message["headers"] = [*message["headers"], *own]
            await send(message)

        in_flight = self._metrics.requests_in_flight.values
        in_flight[()] += 1
        try:
            check_head(scope["http_version"], scope["headers"])
            await self._app(scope, receive_noting_the_end, send_with_id)
        except ClientDisconnect:
            status = _CLIENT_CLOSED_REQUEST
        except HeadRefused as failure:
            route = UNPARSED
            is_body_read = False  # whatever it seems: where the next request begins is not certain either
            await _answer(failure, scope, receive, send_with_id)
        except (ServingError, HTTPException) as failure:
            await _answer(failure, scope, receive, send_with_id)
        except asyncio.CancelledError:  # the server's time to end is over, and this is the last that it lets run
            if not status:
                await _answer(ServiceEnding(_ENDING), scope, receive, send_with_id)
        except Exception:
            traced = {} if context.trace_id is None else {"trace.id": context.trace_id}
            log.exception("a request failed", extra={"ecs": {"http.request.id": context.request_id, **traced}})
            if status:
                raise  # part of an answer is out already: only closing the connection tells the caller
            await _answer(ServingError(_FAILED), scope, receive, send_with_id)
        finally:
            in_flight[()] -= 1
            self._record(scope, context, status, route)

    def _record(self, scope: Scope, context: RequestContext, status: int, route: str | None) -> None:
        """Count a request that is over, and end its span."""
        route = route or str(getattr(scope.get("route"), "path", _OTHER_ROUTE))
        self._metrics.requests.values[route, str(status)] += 1
        duration_s = time.perf_counter() - context.started_s
        self._metrics.request_duration.values[route,].observe(duration_s, context.trace_id)
        if context.span is not None:
            taken = None if route in (_OTHER_ROUTE, UNPARSED) else route
            context.span.end(context.request_id, scope["path"], taken, status, time.perf_counter_ns())


async def _answer(failure: ServingError | HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    to_response = answer_serving_error if isinstance(failure, ServingError) else answer_http_exception
    response = await to_response(Request(scope), failure)
    await response(scope, receive, send)
