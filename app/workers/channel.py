"""A worker's end of its line to the supervisor: messages in JSON, one a line, over a pair of sockets."""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

Message = dict[str, Any]

# The exit status of a worker where another one could not start either. Not 3: uvicorn's, if its app does not begin.
CANNOT_START = os.EX_CONFIG
_MAX_UNSENT = 1000  # to a supervisor that is stopped, or hangs
_CLOSES_WITHIN_S = 1.0


def encode(message: Message) -> bytes:
    """A message as it goes over the line."""
    return json.dumps(message).encode() + b"\n"


class Channel:
    """One end; several threads may send, one reads."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lines = end.makefile("rb")
        self._unsent: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_until_closed, name="channel", daemon=True)
        self._sender.start()

    def send(self, message: Message) -> None:
        """Have a message sent; waits for nobody. If the other end is gone, whoever reads finds that out."""
        if self._unsent.qsize() < _MAX_UNSENT:
            self._unsent.put(message)

    def close(self) -> None:
        """Send no more; what was to be sent goes out, if the other end reads it soon."""
        self._unsent.put(None)
        self._sender.join(_CLOSES_WITHIN_S)

    def _send_until_closed(self) -> None:
        with suppress(OSError):
            while message := self._unsent.get():
                self._end.sendall(encode(message))

    def __iter__(self) -> Iterator[Message]:
        """Messages, until the other end is gone."""
        with suppress(OSError):
            for line in self._lines:
                yield json.loads(line)
