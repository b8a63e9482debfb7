"""``POST /predict``: named instances in, predictions out."""

from __future__ import annotations

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from app.cores import available_cores, make_batch_threads
from app.endpoints.body import PATIENCE_S, read_json_body
from app.endpoints.line_batch import LineBatch
from app.endpoints.patience import Patience
from app.endpoints.request_context import RequestContext, request_context
from app.forest.kernel_forest import FloatMatrix
from app.metrics import Metrics
from app.payload_log import PayloadLog
from app.predictor import Predictor
from app.rollout import Rollout
from app.settings import Settings
from app.wire.answer import encode_predictions
from app.wire.exchange import Decoded, Exchange

PATH = "/predict"
# So much takes about a millisecond to read and write; more than that must not hold other requests up.
_INLINE_BYTES = 32 * 1024
_INLINE_ROWS = 64


class PredictEndpoint:
    """A bare ASGI endpoint: it writes its own answer, and raises where there is none."""

    def __init__(self, rollout: Rollout, payload_log: PayloadLog, metrics: Metrics, settings: Settings) -> None:
        self._rollout = rollout
        self._payload_log = payload_log
        self._lines = LineBatch(payload_log)
        self._metrics = metrics
        self._settings = settings
        self._patience = Patience(PATIENCE_S)
        # No more batches at once than can be worked on: each takes many times its body's memory.
        self._batches = make_batch_threads("batch", max(1, available_cores() // settings.workers))

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
        body = await read_json_body(scope, receive, self._settings.max_body_bytes, self._patience)
        started_ns = time.perf_counter_ns()
        context = request_context(scope)
        if _is_small(body, predictor):
            answered = self._answer(body, predictor, context, started_ns)
        else:
            answered = await asyncio.get_running_loop().run_in_executor(
                self._batches, self._answer, body, predictor, context, started_ns
            )
        answer, decoded, inference_s = answered
        self._count(len(decoded.matrix), inference_s)
        if decoded.warnings.n_found:
            self._metrics.unknown_categories.inc(decoded.warnings.n_found)
        headers = [(b"content-length", b"%d" % len(answer)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def answer_plain(self, body: bytes, context: RequestContext) -> bytes | None:
        """The answer to a small and plain body; None, with nothing done, for any other, or if no model serves."""
        predictor = self._rollout.predictor
        if predictor is None or not _is_small(body, predictor) or len(body) > self._settings.max_body_bytes:
            return None
        started_ns = time.perf_counter_ns()
        matrix = predictor.decoder.read_plain(body, self._settings.max_instances)
        if matrix is None:
            return None
        predictions, inference_s = _predict(matrix, predictor)
        answer = predictor.answers.encode(context.request_id, predictions, ())
        if self._payload_log.wants(context.request_id):
            duration_ns = time.perf_counter_ns() - started_ns
            self._lines.add(predictor, len(matrix), body, predictions, context, duration_ns)
        self._count(len(matrix), inference_s)
        return answer

    def close(self) -> None:
        """Hand over to the payload log what still waits, before that is closed; no batch begins any more."""
        self._lines.flush()
        self._batches.shutdown(wait=False, cancel_futures=True)

    def _answer(
        self, body: bytes, predictor: Predictor, context: RequestContext, started_ns: int
    ) -> tuple[bytes, Decoded, float]:
        """The answer, what was read of the body, and how long the forest took, in seconds; in whatever thread."""
        decoded = predictor.decoder.decode(
            body,
            max_instances=self._settings.max_instances,
            unknown_is_missing=predictor.unknown_is_missing(self._settings.unknown_category),
        )
        predictions, inference_s = _predict(decoded.matrix, predictor)
        answer = predictor.answers.encode(context.request_id, predictions, decoded.warnings.listed)
        if self._payload_log.wants(context.request_id):
            duration_ns = time.perf_counter_ns() - started_ns
            exchange = Exchange(body, predictions, context.request_id, context.trace_id, context.at_us, duration_ns)
            lines, n_bytes = predictor.decoder.make_lines(predictor.log_members, exchange, decoded)
            self._payload_log.record(lines, len(decoded.matrix), n_bytes)
        return answer, decoded, inference_s

    def _count(self, n_rows: int, inference_s: float) -> None:
        self._metrics.inference_duration.values[()].observe(inference_s)
        self._metrics.rows.values[()] += n_rows
        self._metrics.rows_per_request.values[()].observe(n_rows)


def _is_small(body: bytes, predictor: Predictor) -> bool:
    """Whether it may be answered on the event loop; each instance opens a brace, and the body opens another."""
    return len(body) <= _INLINE_BYTES and body.count(b"{") <= min(_INLINE_ROWS, predictor.forest.n_quick_rows) + 1


def _predict(matrix: FloatMatrix, predictor: Predictor) -> tuple[str, float]:
    """The predictions as text, and how long the forest took, in seconds."""
    started_s = time.perf_counter()
    predictions = predictor.forest.predictions(matrix)
    inference_s = time.perf_counter() - started_s
    return encode_predictions(predictions), inference_s
