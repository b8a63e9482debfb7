"""``POST /predict``: named instances in, predictions out."""

from __future__ import annotations

import time
from dataclasses import dataclass

import anyio
import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.cores import available_cores
from app.endpoints.body import read_json_body
from app.endpoints.request_context import RequestContext, request_context
from app.metrics import Metrics
from app.payload_log import Exchange, PayloadLog
from app.predictor import Predictor
from app.rollout import Rollout
from app.settings import Settings
from app.wire.answer import encode_answer, encode_predictions
from app.wire.decoder import Decoded

PATH = "/predict"
# So much takes about a millisecond to answer; more than that must not hold other requests up.
_INLINE_BYTES = 32 * 1024
_INLINE_OBJECTS = 64


class PredictFirst:
    """
    Leads ``/predict`` to its endpoint, and everything else to the app.

    The framework's own way, through its layers and routes, takes several times what answering takes.
    """

    def __init__(self, predict: ASGIApp, app: ASGIApp) -> None:
        self._predict = predict
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_predict = scope["type"] == "http" and scope["path"] == PATH
        await (self._predict if is_predict else self._app)(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    decoded: Decoded
    inference_s: float


class PredictEndpoint:
    """A bare ASGI endpoint: it writes its own answer, and raises where there is none."""

    def __init__(self, rollout: Rollout, payload_log: PayloadLog, metrics: Metrics, settings: Settings) -> None:
        self._rollout = rollout
        self._payload_log = payload_log
        self._metrics = metrics
        self._settings = settings
        # No more batches at once than can be worked on: each takes many times its body's memory.
        self._batches = anyio.CapacityLimiter(available_cores())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer one request.

        Raises
        ------
        ServingError, starlette.exceptions.HTTPException
            If it cannot be answered; nothing has been sent then.
        """
        if scope["method"] != "POST":
            raise HTTPException(405, headers={"Allow": "POST"})
        predictor = self._rollout.current
        body = await read_json_body(scope, receive, self._settings.max_body_bytes)
        context = request_context(scope)
        if len(body) <= _INLINE_BYTES and body.count(b"{") <= _INLINE_OBJECTS:
            answer = self._answer(body, predictor, context)
        else:
            answer = await anyio.to_thread.run_sync(self._answer, body, predictor, context, limiter=self._batches)
        self._count(answer)
        headers = [(b"content-length", b"%d" % len(answer.body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, body: bytes, predictor: Predictor, context: RequestContext) -> _Answer:
        started_ns = time.perf_counter_ns()
        decoded = predictor.decoder.decode(
            body,
            max_instances=self._settings.max_instances,
            unknown_is_missing=predictor.unknown_is_missing(self._settings.unknown_category),
        )
        decoded_ns = time.perf_counter_ns()
        matrix = predictor.predict(decoded.matrix)
        predicted_ns = time.perf_counter_ns()
        predictions = encode_predictions(matrix)
        answer = encode_answer(context.request_id, predictor.version, predictions, decoded.warnings)
        self._payload_log.record(
            Exchange(
                request_id=context.request_id,
                trace_id=context.trace_id,
                at_s=context.at_s,
                duration_ns=time.perf_counter_ns() - started_ns,
                version=predictor.version,
                decoder=predictor.decoder,
                decoded=decoded,
                predictions=predictions,
            )
        )
        return _Answer(answer, decoded, (predicted_ns - decoded_ns) / 1e9)

    def _count(self, answer: _Answer) -> None:
        n_rows = len(answer.decoded.matrix)
        self._metrics.inference_duration.values[()].observe(answer.inference_s)
        self._metrics.rows.values[()] += n_rows
        self._metrics.rows_per_request.values[()].observe(n_rows)
        if answer.decoded.unknown:
            self._metrics.unknown_categories.inc(sum(map(len, answer.decoded.unknown.values())))
