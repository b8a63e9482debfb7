"""A worker's end of its line to the supervisor: messages in JSON, one a line, over a pair of sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

Message = dict[str, Any]

CANNOT_START = 3  # the exit status of a worker where another one could not start either


def encode(message: Message) -> bytes:
    """A message as it goes over the line."""
    return json.dumps(message).encode() + b"\n"


class Channel:
    """One end; several threads may send, one reads."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lines = end.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message; if nobody is there any more, whoever reads finds that out."""
        with suppress(OSError), self._sending:
            self._end.sendall(encode(message))

    def __iter__(self) -> Iterator[Message]:
        """Messages, until the other end is gone."""
        with suppress(OSError):
            for line in self._lines:
                yield json.loads(line)
