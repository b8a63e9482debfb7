"""
A process that serves and leaves the registry to the supervisor that has started it.

Run as ``python -m app.workers CHANNEL LISTENER OUTPUT_LOCK``, descriptors that it inherits, by
`app.workers.supervisor` alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from itertools import count

from app.drain import Drain
from app.errors import ServingError
from app.exposition import Format
from app.line_sink import LineSink
from app.main import create_app
from app.metrics import Metrics, make_collectors
from app.model_version import Role
from app.polling import Tell
from app.processes import hide_unneeded_libraries
from app.server.run import run
from app.service_log import configure_logging
from app.settings import Settings
from app.standing import Standing
from app.tracing.environment import open_tracing
from app.workers.channel import CANNOT_START, Channel, Message

log = logging.getLogger(__name__)

_TOTALS_WITHIN_S = 5.0
# Where the system tells of a parent's end by itself.
_TOLD_WITHIN_S = 0.5


class CannotServe(Exception):
    """What shall serve cannot be read in this process, which has just begun."""


class SupervisorSource:
    """Tells what the supervisor tells, and asks it for what only it knows."""

    def __init__(self, channel: Channel, metrics: Metrics, on_orphaned: Callable[[], None]) -> None:
        """
        Make the worker's end.

        Parameters
        ----------
        channel : Channel
        metrics : Metrics
            What this process counts.
        on_orphaned : callable
            Called if the supervisor is gone.
        """
        self._channel = channel
        self._messages = iter(channel)
        self._metrics = metrics
        self._on_orphaned = on_orphaned
        self._numbers = count()
        self._questions: dict[int, asyncio.Future[bytes]] = {}

    def start(self, tell: Tell) -> None:
        """Tell what the supervisor knows already, so that nothing is accepted before, and go on in a thread."""
        self._loop = asyncio.get_running_loop()
        if self._tell_standings(next(self._messages, {}), tell):
            raise CannotServe  # callers are better off with the other workers, until what is wrong is mended
        self._send_samples()  # it has begun
        threading.Thread(target=self._listen, args=(tell,), name="supervisor", daemon=True).start()

    def refresh(self) -> None:
        """Have the supervisor look at the registry."""
        self._channel.send({"refresh": True})

    def close(self) -> None:
        """Leave the supervisor with what this process has counted."""
        self._send_samples()

    async def expose(self, form: Format) -> bytes:
        """
        The metrics of all workers, as text.

        Raises
        ------
        ServingError
            If the supervisor does not answer.
        """
        number = next(self._numbers)
        self._questions[number] = self._loop.create_future()
        try:
            self._channel.send({"totals": number, "format": form})
            return await asyncio.wait_for(self._questions[number], _TOTALS_WITHIN_S)
        except TimeoutError:
            raise ServingError("The process that adds up the metrics does not answer.") from None
        finally:
            del self._questions[number]

    def _listen(self, tell: Tell) -> None:
        for message in self._messages:
            if "samples" in message:
                self._loop.call_soon_threadsafe(self._send_samples)  # which only its thread may read
            if "totals" in message:
                self._loop.call_soon_threadsafe(self._answer, message["totals"], message["text"].encode())
            self._tell_standings(message, tell)
        self._on_orphaned()

    def _tell_standings(self, message: Message, tell: Tell) -> bool:
        """Tell what stands in a message; whether the champion cannot serve here."""
        is_lost = False
        for name, standing in message.get("standings", {}).items():
            role = Role(name)
            if failure := tell(role, Standing.from_json(standing)):
                self._channel.send({"failed": {role: failure}})
                is_lost = is_lost or role is Role.CHAMPION
        return is_lost

    def _send_samples(self) -> None:
        self._channel.send({"samples": self._metrics.take()})

    def _answer(self, number: int, text: bytes) -> None:
        question = self._questions.get(number)
        if question and not question.done():
            question.set_result(text)


def main(channel_descriptor: int, listener_descriptor: int, output_lock: int) -> int:
    """Serve until told to end, or until the supervisor is gone; the exit status."""
    hide_unneeded_libraries()
    listener = socket.socket(fileno=listener_descriptor)
    listener.setblocking(False)  # as `app.server.listener.listen` says
    standard_output = LineSink(1, output_lock)
    configure_logging(standard_output)
    metrics = Metrics(make_collectors())
    settings = Settings.from_environment(os.environ)
    channel = Channel(socket.socket(fileno=channel_descriptor))
    drain = Drain(settings.shutdown_grace_s, settings.shutdown_deadline_s)

    def end_in_order() -> None:
        time.sleep(_TOLD_WITHIN_S)
        if not drain.has_begun:  # a second signal would end the grace
            os.kill(os.getpid(), signal.SIGTERM)

    source = SupervisorSource(channel, metrics, on_orphaned=end_in_order)
    try:
        app = create_app(
            settings,
            source,
            metrics,
            standard_output,
            drain=drain,
            expose=source.expose,
            tracing=open_tracing(os.environ),
        )
    except OSError as error:
        log.critical("cannot start: %s", error)
        return CANNOT_START
    try:
        return run(app, drain, metrics, listener)
    finally:
        channel.close()
