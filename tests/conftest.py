"""What tests of every kind share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Let the test configure logging, and give pytest its own back afterwards."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    root.handlers = []  # or they would be closed
    yield
    logging.captureWarnings(False)
    root.level, root.handlers = before
