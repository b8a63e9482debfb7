"""What tests of the bodies share: a server that stands in for a running service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.registry.fake_server import FakeServer

ANSWER: dict[str, Any] = {
    "name": "flight-delay",
    "signature": {
        "features": [
            {"name": "carrier", "type": "category", "required": True, "categories": ["AA", "1"]},
            {"name": "gate", "type": "category", "required": False, "categories": [1, 2]},
            {"name": "temp", "type": "number", "required": False, "categories": None},
        ]
    },
    "profile": None,
    "input_example": {"instances": [{"carrier": "AA"}]},
    "limits": {"max_instances": 10, "max_body_bytes": 1000},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that answers as treeserve does, and an environment without proxies."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FakeServer().running() as server:
        server.body = json.dumps(ANSWER).encode()
        yield server
