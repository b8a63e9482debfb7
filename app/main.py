"""The composition root: every part is made here, once, and handed to those that need it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.acceleration import Accelerator
from app.cores import available_cores
from app.drain import Drain
from app.endpoints.docs import add_docs
from app.endpoints.feedback import Feedback
from app.endpoints.middleware import RequestMiddleware
from app.endpoints.model_info import model_router
from app.endpoints.openapi import add_openapi
from app.endpoints.operations import operations_router
from app.endpoints.overload import Overload
from app.endpoints.predict import PATH, PredictEndpoint
from app.endpoints.problem import answer_http_exception, answer_serving_error
from app.endpoints.refresh import refresh_router
from app.endpoints.short_way import ShortWay
from app.errors import ServingError
from app.exposition import Format, write
from app.line_sink import LineSink
from app.loop_lag import LoopLag
from app.metrics import Metrics
from app.model_version import Role
from app.observed.observations import Observations
from app.payload_log import PayloadLog
from app.polling import Source
from app.rollout import Rollout
from app.rotating_file import RotatingFile
from app.settings import Settings
from app.shadow.shadow import Shadow
from app.standing import Standing
from app.wire.line_format import LineRules, Redaction

if TYPE_CHECKING:
    from app.tracing.spans import Tracing

# How often the payload log has what was observed, and what its lines may take in the queue.
_PROFILE_EVERY_S, _PROFILE_BYTES = 60.0, 512 * 1024
# How long spans may still be sent at the end, to a collector that may hang.
_SPANS_S = 2.0
# Docker, containerd and CRI-O cut what a container says into pieces of 16 KiB.
_MAX_PIPED_LINE = 16_000
# The framework's own, which would say again what `app.tracing` says.
_NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, auto_configure=False)


class Service(FastAPI):
    """
    The app, with a short way to ``/predict``.

    The framework's own, through its layers and routes, takes several times what answering takes.

    Attributes
    ----------
    predict : ASGI app
    short_way : ShortWay
        What the web server asks first.
    """

    predict: ASGIApp
    short_way: ShortWay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the start and the end of the process."""
        if scope["type"] == "http" and scope["path"] == PATH:
            await self.predict(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    settings: Settings,
    source: Source,
    metrics: Metrics,
    standard_output: LineSink,
    drain: Drain,
    on_hopeless: Callable[[], None] = lambda: None,
    expose: Callable[[Format], Awaitable[bytes]] | None = None,
    tracing: Tracing | None = None,
) -> Service:
    """
    Make the service. It starts to follow its source when the server starts it.

    Parameters
    ----------
    settings : Settings
    source : Source
        Who tells which model versions shall serve.
    metrics : Metrics
    standard_output : LineSink
        Where the payload log goes unless the settings name a file or turn it off.
    drain : Drain
        How the process ends.
    on_hopeless : callable
        Called from another thread if no model version can ever serve; the reason is logged.
    expose : callable or None
        What `/metrics` answers; None for the metrics of this process.
    tracing : Tracing or None
        Closed when the app ends.

    Raises
    ------
    OSError
        If the payload log's file cannot be opened.
    SettingsInvalid
        If there has to be a GPU, and there is none.
    """
    sink = _payload_sink(settings, standard_output)
    payload_log = PayloadLog(sink, metrics, settings.payload_sample_rate)
    n_threads = max(1, available_cores() // settings.workers)
    rollout = Rollout(metrics, n_threads, Accelerator(settings.device))
    shadow = Shadow(payload_log, metrics)
    overload = Overload(settings.max_in_flight, PATH, metrics, drain)
    rules = _line_rules(settings, is_piped=sink is standard_output)
    observations = Observations(metrics, lambda lines: payload_log.record(lines, 0, _PROFILE_BYTES))
    endpoint = PredictEndpoint(
        rollout, payload_log, shadow, overload, metrics, settings, rules, observations, n_threads, tracing
    )

    feedback = Feedback(payload_log, overload, settings)

    async def expose_own(form: Format) -> bytes:
        return write(metrics.take(), form)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        payload_log.start()
        shadow.start()
        telling = asyncio.create_task(_tell_again_and_again(observations))
        loop_lag = LoopLag(metrics.loop_lag.values[()], loop)

        def follow(role: Role, standing: Standing) -> str | None:
            if role is Role.CHAMPION and standing.is_hopeless:
                on_hopeless()
            failure = rollout.follow(role, standing)
            with suppress(RuntimeError):  # the loop has ended, and the watch has not yet
                loop.call_soon_threadsafe(endpoint.prepare)
            return failure

        source.start(follow)
        yield
        loop_lag.stop()
        telling.cancel()
        drain.begin(with_grace=False)  # where no server has told it to
        endpoint.close()
        feedback.close()
        observations.tell()
        shadow.close()  # which hands over to the payload log what it has
        if payload_log.close(drain.log_s) and sink not in (None, standard_output):
            with suppress(OSError):  # what a network file system could not keep; there is no one left to tell
                sink.close()
        if tracing is not None:
            tracing.close(min(_SPANS_S, drain.log_s))
        source.close()  # last, for it may tell what was counted

    # Its documents are ours, below.
    app = Service(lifespan=lifespan, openapi_url=None, redirect_slashes=False, telemetry=_NO_TELEMETRY)
    app.state.rollout = rollout
    app.add_middleware(RequestMiddleware, metrics=metrics, drain=drain, tracing=tracing)
    app.add_exception_handler(ServingError, answer_serving_error)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.predict = RequestMiddleware(endpoint, metrics, drain, PATH, tracing)
    app.short_way = ShortWay(endpoint, metrics, overload)
    for router in (
        feedback.router(),
        model_router(rollout, settings),
        refresh_router(source, settings),
        operations_router(rollout, expose or expose_own, drain),
    ):
        app.include_router(router)
    add_docs(app)
    add_openapi(app, rollout, settings)
    return app


async def _tell_again_and_again(observations: Observations) -> None:
    while True:
        await asyncio.sleep(_PROFILE_EVERY_S)
        observations.tell()


def _line_rules(settings: Settings, *, is_piped: bool) -> LineRules:
    secret = settings.payload_redact_key
    return LineRules(
        n_typed=settings.log_typed_features,
        max_line=_MAX_PIPED_LINE if is_piped else 0,
        redactions={name: Redaction(redaction) for name, redaction in settings.payload_redact.items()},
        key=hashlib.sha256(secret.get_secret_value().encode()).digest() if secret else b"",
    )


def _payload_sink(settings: Settings, standard_output: LineSink) -> LineSink | RotatingFile | None:
    place = settings.payload_log
    if place == "off":
        return None
    if place == "stdout":
        return standard_output
    try:
        return RotatingFile(Path(place), settings.payload_log_max_bytes, settings.payload_log_kept)
    except OSError as error:
        raise OSError(f"TREESERVE_PAYLOAD_LOG={place} cannot be written: {error.strerror}") from None
