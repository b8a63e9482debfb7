"""
The short way of a request that is plainly right: from its bytes to its answer's in one call, without task or message.

The web server asks it first. Where it declines, and it does so for whatever is not the plainest of cases, the request
goes the app's way, which answers everything; both use the same endpoint. A task, its messages and layers take twice the
time of all that an answer takes.
"""

from __future__ import annotations

import time

from app.endpoints.head import check_head
from app.endpoints.overload import Overload
from app.endpoints.predict import PATH, PredictEndpoint
from app.endpoints.request_context import RequestContext
from app.metrics import Metrics


class ShortWay:
    """
    Answers requests at once, or declines.

    Attributes
    ----------
    path : str
    target : bytes
        The only one it answers POSTs to.
    overload : Overload
        Says which it refuses.
    """

    path = PATH
    target = PATH.encode("ascii")

    def __init__(self, endpoint: PredictEndpoint, metrics: Metrics, overload: Overload) -> None:
        self.overload = overload
        self._endpoint = endpoint
        self._requests = metrics.requests.values
        self._duration = metrics.request_duration.values

    def answer(self, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes | None:
        """
        Answer a POST.

        Parameters
        ----------
        headers : list of (bytes, bytes)
            Names in lower case, of a request in HTTP/1.1.
        body : bytes

        Returns
        -------
        bytes or None
            The answer's own headers and its body, of status 200; None if the request has to go the app's way, and
            nothing has been done then.
        """
        context = RequestContext(dict(headers))
        by_name = context.headers
        if by_name.get(b"content-type") != b"application/json" or b"content-encoding" in by_name:
            return None
        try:
            if len(by_name) != len(headers) or b"host" not in by_name or b"transfer-encoding" in by_name:
                check_head("1.1", headers)  # it takes longer than to see that there is nothing to check
            answer = self._endpoint.answer_plain(body, context)
        except Exception:  # which the app's way meets again, and tells
            return None
        if answer is None:
            return None
        self._requests[PATH, "200"] += 1
        self._duration[PATH,].observe(time.perf_counter() - context.started_s, context.trace_id)
        return b"content-length: %d\r\ncontent-type: application/json\r\nx-request-id: %b\r\n\r\n%b" % (
            len(answer), context.request_id.encode("ascii"), answer,
        )  # fmt: skip
