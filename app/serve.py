"""``treeserve serve``: one process that serves, or several and one above them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import tempfile
import threading

from app.acceleration import Accelerator
from app.drain import Drain
from app.errors import ModelUriInvalid
from app.line_sink import LineSink
from app.main import create_app
from app.metrics import Metrics, make_collectors
from app.polling import RegistryWatch, Source
from app.preparation.child import Preparation
from app.preparation.last_verified import LastVerified
from app.registry.registry import MlflowRegistry
from app.server.listener import listen
from app.server.run import run
from app.settings import Settings, SettingsInvalid
from app.tracing.environment import open_tracing
from app.workers.supervisor import Supervisor

log = logging.getLogger(__name__)


def serve(settings: Settings, standard_output: LineSink) -> int:
    """Serve until told to end; the exit status."""
    metrics = Metrics(make_collectors())
    try:
        source = _watch_registry(settings, metrics)
        if settings.workers > 1:
            return _supervise(settings, source, metrics, standard_output)
        return _serve_alone(settings, source, metrics, standard_output)
    except SettingsInvalid as error:
        log.critical("a setting cannot be used: %s", error)
        return 2
    except (ModelUriInvalid, OSError) as error:
        log.critical("cannot start: %s", error)
        return 1


def _watch_registry(settings: Settings, metrics: Metrics) -> RegistryWatch:
    registry = MlflowRegistry.of_environment(os.environ, settings.cache_dir)
    last_verified = LastVerified(settings.cache_dir, " ".join(registry.to_json()))
    return RegistryWatch(settings, registry, Preparation(registry, settings.cache_dir), last_verified, metrics)


def _serve_alone(settings: Settings, source: Source, metrics: Metrics, standard_output: LineSink) -> int:
    is_hopeless = threading.Event()

    def give_up() -> None:
        is_hopeless.set()
        os.kill(os.getpid(), signal.SIGINT)  # the end in order, without the grace

    drain = Drain(settings.shutdown_grace_s, settings.shutdown_deadline_s)
    app = create_app(
        settings, source, metrics, standard_output, drain, on_hopeless=give_up, tracing=open_tracing(os.environ)
    )
    listener = _listen(settings)
    return run(app, drain, metrics, listener, lambda: 1 if is_hopeless.is_set() else 0)


def _supervise(
    settings: Settings,
    source: RegistryWatch,
    metrics: Metrics,
    standard_output: LineSink,
) -> int:
    Accelerator(settings.device)  # that there is no GPU is told here, and not by each worker again and again
    listener = _listen(settings)
    with tempfile.TemporaryFile() as output_lock:
        standard_output.share(output_lock.fileno())
        supervisor = Supervisor(settings, source, metrics, listener, output_lock.fileno())
        return asyncio.run(supervisor.run())


def _listen(settings: Settings) -> socket.socket:
    listener = listen(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    log.info("listening on http://%s:%d; GET /docs there shows the API", host, listener.getsockname()[1])
    return listener
