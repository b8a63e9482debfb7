"""The composition root: every part is made here, once, and handed to those that need it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.endpoints.docs import add_docs
from app.endpoints.middleware import RequestMiddleware
from app.endpoints.model_info import model_router
from app.endpoints.openapi import add_openapi
from app.endpoints.operations import operations_router
from app.endpoints.predict import PATH, PredictEndpoint
from app.endpoints.problem import answer_http_exception, answer_serving_error
from app.endpoints.short_way import ShortWay
from app.errors import ModelError, ServingError
from app.line_sink import LineSink, open_file
from app.metrics import Metrics
from app.payload_log import PayloadLog
from app.registry.registry import Registry
from app.rollout import Rollout
from app.settings import Settings
from app.shadow.shadow import Shadow
from app.verdicts import Verdicts


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
    registry: Registry,
    collectors: CollectorRegistry,
    standard_output: LineSink,
    on_load_failure: Callable[[], None] = lambda: None,
) -> Service:
    """
    Make the service. It starts to load its model when the server starts it.

    Parameters
    ----------
    settings : Settings
    registry : Registry
        Where model versions come from.
    collectors : prometheus_client.CollectorRegistry
        Where the metrics are kept; one an app.
    standard_output : LineSink
        Where the payload log goes unless the settings name a file or turn it off.
    on_load_failure : callable
        Called from a thread of its own if the model version cannot serve; the reason is logged
        and stands in ``app.state.rollout.failure``.

    Raises
    ------
    OSError
        If the payload log's file cannot be opened.
    """
    metrics = Metrics(collectors)
    sink = _payload_sink(settings.payload_log, standard_output)
    payload_log = PayloadLog(sink, metrics, settings.payload_sample_rate)
    rollout = Rollout(registry, settings.model_uri, metrics, Verdicts(settings.cache_dir / "verdicts"))
    shadow = Shadow(payload_log, metrics)
    endpoint = PredictEndpoint(rollout, payload_log, shadow, metrics, settings)

    def load() -> None:
        try:
            rollout.load()
        except ModelError:
            on_load_failure()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        payload_log.start()
        shadow.start()
        # A thread, so that the probes answer meanwhile; a daemon, so that a slow download holds up no exit.
        threading.Thread(target=load, name="rollout", daemon=True).start()
        yield
        endpoint.close()
        shadow.close()  # which hands over to the payload log what it has
        if payload_log.close() and sink not in (None, standard_output):
            with suppress(OSError):  # what a network file system could not keep; there is no one left to tell
                sink.close()

    # Its documents are ours, below.
    app = Service(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.state.rollout = rollout
    app.add_middleware(RequestMiddleware, metrics=metrics)
    app.add_exception_handler(ServingError, answer_serving_error)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.predict = RequestMiddleware(endpoint, metrics, PATH)
    app.short_way = ShortWay(endpoint, metrics)
    app.include_router(model_router(rollout, settings))
    app.include_router(operations_router(rollout, metrics))
    add_docs(app)
    add_openapi(app, rollout, settings)
    return app


def _payload_sink(place: str, standard_output: LineSink) -> LineSink | None:
    if place == "off":
        return None
    if place == "stdout":
        return standard_output
    try:
        return open_file(Path(place))
    except OSError as error:
        raise OSError(f"TREESERVE_PAYLOAD_LOG={place} cannot be written: {error.strerror}") from None
