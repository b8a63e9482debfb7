"""Servers of a test's own, which answer from a thread while a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer

_LOOK_EVERY_S = 0.01


@contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    """Let a server answer; where, as a URL. In the end it has closed its port, and its thread is gone."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(_LOOK_EVERY_S,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
