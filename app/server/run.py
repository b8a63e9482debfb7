"""Serves until the process is told to end, and sees to it that it does end."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from fastapi import FastAPI

from app.drain import Drain
from app.metrics import Metrics
from app.server.server import make_server


def run(
    app: FastAPI, drain: Drain, metrics: Metrics, listener: socket.socket, status: Callable[[], int] = lambda: 0
) -> int:
    """
    Serve an app on a socket.

    Parameters
    ----------
    app : FastAPI
    drain : Drain
        How it ends.
    metrics : Metrics
        What is no request is counted in.
    listener : socket.socket
    status : callable
        The exit status, asked when the end has come.

    Returns
    -------
    int
        The exit status. Whatever still runs, the process is gone at the drain's deadline.
    """
    server = make_server(app, drain, metrics)

    def stop(*_: object) -> None:
        server.should_exit = True

    # Before the server handles these signals itself, and after.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, stop)
    threading.Thread(target=_end_in_time, args=(drain, status), name="deadline", daemon=True).start()
    try:
        server.run([listener])
    finally:
        drain.begin(with_grace=False)  # where it has never begun to serve
    return status()


def _end_in_time(drain: Drain, status: Callable[[], int]) -> None:
    """
    End the process at the deadline, if it is still there.

    Python waits for its threads, and a batch that nobody waits for any more cannot be interrupted.
    """
    drain.wait_for_begin()
    time.sleep(drain.exit_s)
    os._exit(status())
