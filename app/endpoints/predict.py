"""``POST /predict``: named instances in, predictions out."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from app.cores import make_batch_threads
from app.endpoints.body import PATIENCE_S, read_json_body
from app.endpoints.line_batch import LineBatch
from app.endpoints.overload import Overload
from app.endpoints.patience import Patience
from app.endpoints.request_context import RequestContext, request_context
from app.forest.kernel_forest import FloatMatrix
from app.metrics import Metrics
from app.observed.observations import Observations
from app.payload_log import PayloadLog
from app.predictor import Predictor
from app.rollout import Rollout
from app.settings import Settings
from app.shadow.answered import Answered
from app.shadow.roles import Cast, Roles
from app.shadow.shadow import Shadow
from app.wire.answer import encode_predictions
from app.wire.exchange import Decoded, Exchange
from app.wire.line_format import LineRules

if TYPE_CHECKING:
    from app.tracing.spans import Tracing

PATH = "/predict"
# So much takes about a millisecond to read and write; more than that must not hold other requests up.
_INLINE_BYTES = 32 * 1024
_INLINE_ROWS = 64


class _Answer(NamedTuple):
    """What is sent, and what is counted of it."""

    text: bytes
    decoded: Decoded
    roles: Roles
    steps_ns: tuple[int, int, int, int]  # when decoding, predicting and encoding began, and were over


class PredictEndpoint:
    """A bare ASGI endpoint: it writes its own answer, and raises where there is none."""

    def __init__(
        self,
        rollout: Rollout,
        payload_log: PayloadLog,
        shadow: Shadow,
        overload: Overload,
        metrics: Metrics,
        settings: Settings,
        rules: LineRules,
        observations: Observations,
        n_threads: int,
        tracing: Tracing | None = None,
    ) -> None:
        """
        Make the endpoint.

        Parameters
        ----------
        n_threads : int
            How many batches are worked on at once.
        tracing : Tracing or None
            Traces what goes the short way; of the rest, whoever calls this endpoint has opened the spans.
        """
        self._rollout = rollout
        self._payload_log = payload_log
        # Or every change between the two would hand over what one of them has gathered.
        self._usual_lines, self._canary_lines = (LineBatch(payload_log, shadow) for _ in range(2))
        self._shadow = shadow
        self._overload = overload
        self._metrics = metrics
        self._settings = settings
        self._rules = rules
        self._observations = observations
        self._tracing = tracing
        self._patience = Patience(PATIENCE_S)
        self._cast: Cast | None = None
        for status in ("200", "500", "503"):
            metrics.requests.values[PATH, status] = 0.0  # a rate needs a sample before the first failure
        # No more batches at once than can be worked on: each takes many times its body's memory.
        self._batches = make_batch_threads("batch", n_threads)
        # Of their own, so that no batch of the champion's waits for a slow challenger.
        self._canaries = make_batch_threads("canary", n_threads)

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
        champion = self._rollout.current
        body = await read_json_body(scope, receive, self._settings.max_body_bytes, self._patience)
        with self._overload.work():
            await self._respond(champion, body, request_context(scope), send)

    async def _respond(self, champion: Predictor, body: bytes, context: RequestContext, send: Send) -> None:
        started_ns = time.perf_counter_ns()
        cast = self._cast_with(champion)
        roles = cast.usual if cast.canary is None else cast.choose(context.caller_key)
        work = (body, roles, cast.usual, context, started_ns)
        # A canary may fall back on the champion.
        if _is_small(body, roles.predictor) and (roles is cast.usual or _is_small(body, champion)):
            answer = self._answer(*work)
        else:
            threads = self._batches if roles is cast.usual else self._canaries
            answer = await asyncio.get_running_loop().run_in_executor(threads, self._answer, *work)
        _, predicting_ns, predicted_ns, _ = answer.steps_ns
        self._count(len(answer.decoded.matrix), predicted_ns - predicting_ns, answer.roles)
        if context.span is not None:
            context.span.add_answer(answer.roles.predictor.version, len(answer.decoded.matrix), answer.steps_ns)
        if answer.decoded.warnings.n_found:
            self._metrics.unknown_categories.inc(answer.decoded.warnings.n_found)
        headers = [(b"content-length", b"%d" % len(answer.text)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.text})

    def answer_plain(self, body: bytes, context: RequestContext) -> bytes | None:
        """The answer to a small and plain body; None, with nothing done, for any other, or if no model serves."""
        cast, champion = self._cast, self._rollout.predictor
        # Asked here too: a call takes as much as all that it asks.
        if cast is None or cast.champion is not champion or cast.challenger is not self._rollout.challenger:
            if champion is None:
                return None
            cast = self._cast_with(champion)
        roles = cast.usual if cast.canary is None else cast.choose(context.caller_key)
        predictor = roles.predictor
        if not _is_small(body, predictor) or len(body) > self._settings.max_body_bytes:
            return None
        started_ns = time.perf_counter_ns()
        matrix = predictor.decoder.read_plain(body, self._settings.max_instances)
        if matrix is None:
            return None
        predicting_ns = time.perf_counter_ns()
        predictions = predictor.forest.predictions(matrix)
        predicted_ns = time.perf_counter_ns()
        told = encode_predictions(predictions)
        answer = predictor.answers.encode(context.request_id, told, ())
        if self._tracing is not None:
            self._trace(self._tracing, context, predictor, len(matrix), (started_ns, predicting_ns, predicted_ns))
        is_wanted = self._payload_log.wants(context.request_id)
        if roles.observed is not None:
            roles.observed.add(matrix, predictions)
        if is_wanted or roles.other is not None:
            duration_ns = time.perf_counter_ns() - started_ns
            lines = self._usual_lines if roles is cast.usual else self._canary_lines
            lines.add(roles, matrix, predictions, body, told, context, duration_ns, is_wanted=is_wanted)
        self._count(len(matrix), predicted_ns - predicting_ns, roles)
        return answer

    def _trace(
        self,
        tracing: Tracing,
        context: RequestContext,
        predictor: Predictor,
        n_instances: int,
        began_ns: tuple[int, ...],
    ) -> None:
        """Trace an answer that goes the short way: its spans are made when it has gone."""
        if span := context.trace(tracing):
            ended_ns = time.perf_counter_ns()
            loop = asyncio.get_running_loop()
            loop.call_soon(span.add_answer, predictor.version, n_instances, (*began_ns, ended_ns))
            loop.call_soon(span.end, context.request_id, PATH, PATH, HTTPStatus.OK, ended_ns)

    def prepare(self) -> None:
        """
        Be ready for what serves now, before anybody asks; on the event loop's thread.

        Prometheus sees no increase in a counter that begins with its first value.
        """
        if champion := self._rollout.predictor:
            self._cast_with(champion)

    def close(self) -> None:
        """Hand over what still waits, before shadow and payload log are closed; no batch begins any more."""
        for lines in (self._usual_lines, self._canary_lines):
            lines.flush()
        for threads in (self._batches, self._canaries):
            threads.shutdown(wait=False, cancel_futures=True)

    def _cast_with(self, champion: Predictor) -> Cast:
        """The champion and the challenger of now; asked on the event loop's thread alone."""
        cast, challenger = self._cast, self._rollout.challenger
        if cast is None or cast.champion is not champion or cast.challenger is not challenger:
            settings = self._settings
            share, policy = settings.challenger_share, settings.unknown_category
            cast = self._cast = Cast(champion, challenger, share, policy, self._rules, self._observations)
        return cast

    def _answer(self, body: bytes, roles: Roles, usual: Roles, context: RequestContext, started_ns: int) -> _Answer:
        """The answer; of the champion, where the challenger should give it and cannot. In whatever thread."""
        if roles is usual:
            return self._answer_as(usual, body, context, started_ns)
        try:
            return self._answer_as(roles, body, context, started_ns)
        except Exception as error:  # whatever it is, a caller never sees it
            failure = error
        answer = self._answer_as(usual, body, context, started_ns)  # or what is wrong with the body
        self._metrics.canary_fallbacks.inc()
        roles.tell(f"the champion answers what the challenger, {roles.predictor.version}, could not", failure)
        return answer

    def _answer_as(self, roles: Roles, body: bytes, context: RequestContext, started_ns: int) -> _Answer:
        predictor = roles.predictor
        decoding_ns = time.perf_counter_ns()  # it may have waited for its thread
        decoded = predictor.decoder.decode(
            body,
            max_instances=self._settings.max_instances,
            unknown_is_missing=predictor.unknown_is_missing(self._settings.unknown_category),
        )
        predicting_ns = time.perf_counter_ns()
        predictions = predictor.forest.predictions(decoded.matrix)
        predicted_ns = time.perf_counter_ns()
        told = encode_predictions(predictions)
        text = predictor.answers.encode(context.request_id, told, decoded.warnings.listed)
        ended_ns = time.perf_counter_ns()
        exchange = Exchange(body, told, context.request_id, context.trace_id, context.at_us, ended_ns - started_ns)
        self._record(roles, exchange, decoded, predictions)
        return _Answer(text, decoded, roles, (decoding_ns, predicting_ns, predicted_ns, ended_ns))

    def _record(self, roles: Roles, exchange: Exchange, decoded: Decoded, predictions: FloatMatrix) -> None:
        """Count one request, and hand it over to the shadow, if there is one, or else to the payload log."""
        if roles.observed is not None:
            roles.observed.observe([decoded.matrix], [predictions])
        is_wanted = self._payload_log.wants(exchange.request_id)
        if not is_wanted and roles.other is None:
            return
        lines = roles.lines.make(exchange, decoded)
        if roles.other is not None:
            answered = Answered(roles, lines)
            answered.add(exchange.body, decoded.matrix, predictions, is_wanted=is_wanted)
            if self._shadow.offer(answered):
                return
        if is_wanted:
            self._payload_log.record(lines, len(decoded.matrix), lines.n_bytes)

    def _count(self, n_rows: int, inference_ns: int, roles: Roles) -> None:
        self._metrics.inference_duration.values[()].observe(inference_ns / 1e9)
        self._metrics.rows.values[()] += n_rows
        self._metrics.answered_rows.values[roles.counted_as] += n_rows
        self._metrics.rows_per_request.values[()].observe(n_rows)


def _is_small(body: bytes, predictor: Predictor) -> bool:
    """Whether it may be answered on the event loop; each instance opens a brace, and the body opens another."""
    return len(body) <= _INLINE_BYTES and body.count(b"{") <= min(_INLINE_ROWS, predictor.forest.n_quick_rows) + 1
