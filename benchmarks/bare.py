"""
The ceiling: bare uvicorn with a constant answer, which any server in Python on it can only come near.

``python -m benchmarks.bare PORT``
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

# As long as the service's answer to one instance.
ANSWER = b"x" * 134


async def app(
    _scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Answer any request."""
    await receive()
    length = b"%d" % len(ANSWER)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False, ws="none", lifespan="off")
