"""``POST /predict``: named instances in, predictions out."""

from __future__ import annotations

import os
import time

import anyio
import anyio.to_thread
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from app.endpoints.body import read_json_body
from app.endpoints.request_context import RequestContext, request_context
from app.metrics import Metrics
from app.payload_log import Exchange, PayloadLog
from app.predictor import Predictor
from app.rollout import Rollout
from app.settings import Settings
from app.wire.answer import encode_answer, encode_predictions

# So much takes about a millisecond to answer; more than that must not hold other requests up.
_INLINE_BYTES = 32 * 1024
_INLINE_OBJECTS = 64


class PredictRoute(Route):
    """
    The route of ``POST /predict``.

    It notes itself in the scope, from where the metrics take a request's route: FastAPI's
    routes do so themselves, Starlette's leave it to a router that FastAPI replaces.
    """

    def __init__(self, endpoint: PredictEndpoint) -> None:
        super().__init__("/predict", endpoint, methods=["POST"])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for this route."""
        match, child_scope = super().matches(scope)
        return match, child_scope if match is Match.NONE else {**child_scope, "route": self}


class PredictEndpoint:
    """A bare ASGI endpoint: FastAPI's own way to the body costs several times the prediction."""

    def __init__(self, rollout: Rollout, payload_log: PayloadLog, metrics: Metrics, settings: Settings) -> None:
        self._rollout = rollout
        self._payload_log = payload_log
        self._metrics = metrics
        self._settings = settings
        # No more batches at once than can be worked on: each takes many times its body's memory.
        self._batches = anyio.CapacityLimiter(os.cpu_count() or 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        predictor = self._rollout.current
        body = await read_json_body(scope, receive, self._settings.max_body_bytes)
        context = request_context(scope)
        if len(body) <= _INLINE_BYTES and body.count(b"{") <= _INLINE_OBJECTS:
            answer = self._answer(body, predictor, context)
        else:
            answer = await anyio.to_thread.run_sync(self._answer, body, predictor, context, limiter=self._batches)
        await Response(answer, media_type="application/json")(scope, receive, send)

    def _answer(self, body: bytes, predictor: Predictor, context: RequestContext) -> bytes:
        started_ns = time.perf_counter_ns()
        decoded = predictor.decoder.decode(
            body,
            max_instances=self._settings.max_instances,
            unknown_is_missing=predictor.unknown_is_missing(self._settings.unknown_category),
        )
        with self._metrics.inference_duration.time():
            matrix = predictor.predict(decoded.matrix)
        predictions = encode_predictions(matrix)
        answer = encode_answer(context.request_id, predictor.version, predictions, decoded.warnings)
        duration_ns = time.perf_counter_ns() - started_ns
        n_rows = len(decoded.matrix)
        self._metrics.rows.inc(n_rows)
        self._metrics.rows_per_request.observe(n_rows)
        if decoded.unknown:
            self._metrics.unknown_categories.inc(sum(map(len, decoded.unknown.values())))
        self._payload_log.record(
            Exchange(
                request_id=context.request_id,
                trace_id=context.trace_id,
                at_s=context.at_s,
                duration_ns=duration_ns,
                version=predictor.version,
                decoder=predictor.decoder,
                decoded=decoded,
                predictions=predictions,
            )
        )
        return answer
