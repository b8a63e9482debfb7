"""
How many predictions a process takes on at once, and how it refuses the others.

What waits in the sockets has been received too. The event loop is told of all that is there when it begins a round, and
requests that go the short way are answered within it; so a round's requests, and the tasks that last longer, are those
that have been received and not yet answered.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Receive, Scope, Send

from app.drain import Drain
from app.endpoints.middleware import RequestMiddleware
from app.endpoints.problem import MEDIA_TYPE, problem_document
from app.errors import Overloaded
from app.metrics import Metrics

_DETAIL = "As many requests as TREESERVE_MAX_IN_FLIGHT allows wait for their answers already; send it again later."
_ID_LENGTH = 32


class Overload:
    """
    Counts requests of one route, and refuses those beyond the limit; for one event loop.

    Attributes
    ----------
    app : ASGI app
        Refuses whatever it is given, with all that an answer of the app's has.
    """

    def __init__(self, limit: int, route: str, metrics: Metrics, drain: Drain) -> None:
        """
        Begin to count.

        Parameters
        ----------
        limit : int
            Requests received and not yet answered.
        route : str
        metrics : Metrics
        drain : Drain
        """
        self.app = RequestMiddleware(_refuse, metrics, drain, route)
        self._limit = limit
        self._n_in_round = self._n_working = 0
        self._requests = metrics.requests.values
        self._labels = route, str(Overloaded.status.value)
        self._before_id, self._after_id = _make_refusal().split(b"?" * _ID_LENGTH)
        self._head = (
            b"content-type: %b\r\ncontent-length: %d\r\nretry-after: %d\r\nx-request-id: "
            % (MEDIA_TYPE.encode(), len(_make_refusal()), Overloaded.retry_after_s)
        )  # fmt: skip

    @property
    def is_full(self) -> bool:
        """Whether one more is beyond the limit."""
        return self._n_working + self._n_in_round >= self._limit

    @contextmanager
    def work(self) -> Iterator[None]:
        """
        Count a request from when its body is whole until it is answered.

        Not before: whoever sends a body slowly must not take the place of those who have sent theirs.

        Raises
        ------
        Overloaded
            If it is beyond the limit.
        """
        if self.is_full:
            raise Overloaded(_DETAIL)
        self._n_working += 1
        try:
            yield
        finally:
            self._n_working -= 1

    def count(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count a request that was answered at once: it was there when the round began, and counts until it ends."""
        if not self._n_in_round:
            loop.call_soon(self._begin_round)
        self._n_in_round += 1

    def refuse(self) -> bytes:
        """Headers and body of a refusal, of status 503; all made before but the request's id."""
        self._requests[self._labels] += 1
        request_id = b"%032x" % random.getrandbits(128)
        return b"".join([self._head, request_id, b"\r\n\r\n", self._before_id, request_id, self._after_id])

    def _begin_round(self) -> None:
        self._n_in_round = 0


async def _refuse(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise Overloaded(_DETAIL)


def _make_refusal() -> bytes:
    error = Overloaded(_DETAIL)
    return json.dumps(problem_document(error.status, error.code, error.title, error.detail, "?" * _ID_LENGTH)).encode()
