"""
Keeps workers running: starts them, replaces those that end, tells them what shall serve, and adds up what they count.

Every worker accepts from the same socket, so that a connection that a dead one has not accepted is another one's. A
worker accepts nothing before it has been told what shall serve. Only this process watches the registry.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field

from app.backoff import pause_before
from app.exposition import Family, Format, write
from app.metrics import Metrics
from app.model_version import Role
from app.polling import RegistryWatch
from app.processes import python_module
from app.settings import Settings
from app.standing import Standing
from app.workers.channel import CANNOT_START, Message, encode
from app.workers.totals import LastTold, add_up, drop_forgotten

log = logging.getLogger(__name__)

_SHORT_LIFE_S = 10.0  # a worker that ends sooner is replaced later, twice as long each time
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0
_SAMPLES_WITHIN_S = 1.0
_KILLED_AFTER_S = 5.0  # beyond the deadline that a worker keeps by itself
_MAX_MESSAGE_BYTES = 64 * 2**20
_MAX_UNREAD_BYTES = 16 * 2**20  # by a worker that is stopped, or hangs for good


@dataclass(eq=False)
class Worker:
    """A process that serves, as the supervisor sees it."""

    process: asyncio.subprocess.Process
    line: asyncio.StreamWriter
    samples: list[Family] = field(default_factory=list)
    told_samples: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, message: Message) -> None:
        """Send a message; one that does not read what it is sent is of no use any more."""
        self.line.write(encode(message))
        if self.line.transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


class Supervisor:
    """The workers of one service."""

    def __init__(
        self,
        settings: Settings,
        source: RegistryWatch,
        metrics: Metrics,
        listener: socket.socket,
        output_lock: int,
    ) -> None:
        """
        Make a supervisor that is not running yet.

        Parameters
        ----------
        settings : Settings
        source : RegistryWatch
            Who tells what shall serve.
        metrics : Metrics
            What this process counts itself.
        listener : socket.socket
            What the workers accept from.
        output_lock : int
            Descriptor of a file whose lock keeps the workers' lines on standard output whole.
        """
        self._settings = settings
        self._source = source
        self._metrics = metrics
        self._listener = listener
        self._inherited = listener.fileno(), output_lock
        self._workers: set[Worker] = set()
        self._standings: dict[Role, Standing] = {}
        self._departed: list[Family] = []
        self._last_told = LastTold()
        self._is_ending = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Serve until told to end; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, number)

        def tell(role: Role, standing: Standing) -> None:  # a worker that cannot serve it says so by itself
            loop.call_soon_threadsafe(self._tell, role, standing)

        self._source.start(tell)
        await asyncio.gather(*(self._keep(number) for number in range(self._settings.workers)))
        self._source.close()
        return self._status

    def _tell(self, role: Role, standing: Standing) -> None:
        self._standings[role] = standing
        for worker in self._workers:
            worker.send({"standings": {role: standing.to_json()}})
        if role is Role.CHAMPION and standing.is_hopeless:
            self._end(signal.SIGINT, status=1)

    def _end(self, number: int, status: int = 0) -> None:
        """Let the workers end as a signal says; again if it comes again."""
        if not self._is_ending.is_set():
            self._status = status
            self._is_ending.set()
            # Or the system would go on accepting when the last worker does not any more, and callers wait in vain.
            self._listener.close()
            limit_s = self._settings.shutdown_deadline_s + _KILLED_AFTER_S
            asyncio.get_running_loop().call_later(limit_s, self._signal_all, signal.SIGKILL)
        self._signal_all(number)

    def _signal_all(self, number: int) -> None:
        for worker in self._workers:
            # One that is only being imported would answer SIGINT with a traceback.
            worker.signal(number if worker.samples or number == signal.SIGKILL else signal.SIGTERM)

    async def _keep(self, number: int) -> None:
        """Have one worker running until told to end."""
        n_lives = n_short = 0
        while not self._is_ending.is_set():
            began_s = time.monotonic()
            try:
                status = await self._run_worker()
            except OSError as error:  # there is no memory, process or descriptor left for it
                why = f"cannot be started: {error}"
            else:
                is_new = n_lives == 0
                n_lives += 1
                if status == CANNOT_START and is_new and not self._is_ending.is_set():  # it has said why
                    self._end(signal.SIGINT, status=1)
                ended = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
                why = f"{ended}; another one takes its place"
            if self._is_ending.is_set():
                return
            log.error("worker %d %s", number, why)
            self._metrics.workers_lost.inc()
            n_short = 0 if time.monotonic() - began_s > _SHORT_LIFE_S else n_short + 1
            if n_short:
                with suppress(TimeoutError):
                    pause_s = pause_before(n_short, _FIRST_PAUSE_S, _LAST_PAUSE_S)
                    await asyncio.wait_for(self._is_ending.wait(), pause_s)

    async def _run_worker(self) -> int:
        """Start one and serve it until it ends; its exit status."""
        ours, its = socket.socketpair()
        try:
            with its:
                descriptors = [its.fileno(), *self._inherited]
                command = [*python_module("app.workers"), *map(str, descriptors)]
                # In a group of its own, or Ctrl-C in a terminal would reach it before this process can pass it on.
                process = await asyncio.create_subprocess_exec(*command, pass_fds=descriptors, process_group=0)
            reader, line = await asyncio.open_unix_connection(sock=ours, limit=_MAX_MESSAGE_BYTES)
        except OSError:
            ours.close()  # by which a process that was started ends too
            raise
        worker = Worker(process, line)
        worker.send({"standings": {role: standing.to_json() for role, standing in self._standings.items()}})
        self._workers.add(worker)
        if self._is_ending.is_set():
            worker.signal(signal.SIGTERM)
        try:
            async for text in reader:
                self._hear(worker, json.loads(text))
        except (OSError, ValueError):  # it was killed while it sent something
            pass
        finally:
            self._workers.discard(worker)
            self._departed = add_up([self._departed, worker.samples], are_gone=True)
            line.close()
        return await process.wait()

    def _hear(self, worker: Worker, message: Message) -> None:
        if "samples" in message:
            worker.samples = [Family.from_json(family) for family in message["samples"]]
            worker.told_samples.set()
        for role, failure in message.get("failed", {}).items():
            self._source.distrust(Role(role), failure)
        if "refresh" in message:
            self._source.refresh()
        if "totals" in message:
            totals = self._tell_totals(worker, message["totals"], Format(message["format"]))
            asyncio.get_running_loop().create_task(totals)

    async def _tell_totals(self, asking: Worker, question: int, form: Format) -> None:
        """Add up what all processes count now; of one that does not tell in time, what it told last."""
        workers = list(self._workers)
        for worker in workers:
            worker.told_samples.clear()
            worker.send({"samples": True})
        told = [asyncio.ensure_future(worker.told_samples.wait()) for worker in workers]
        if told:
            _, late = await asyncio.wait(told, timeout=_SAMPLES_WITHIN_S)
            for task in late:
                task.cancel()
        samples = [worker.samples for worker in self._workers]
        living = add_up([self._metrics.take(), *samples])
        if all(samples):  # or nobody has forgotten anything yet
            self._departed = drop_forgotten(self._departed, living)
        totals = self._last_told.hold(add_up([living, self._departed]))
        asking.send({"totals": question, "text": write(totals, form).decode()})
