"""
How tests are shared out among the processes of one run, which `make test` starts with pytest-xdist.

A file's tests stay together, so that what they share is made once. So do all of ``tests/integration/``, which share a
store, a server and a trained example, and all of ``tests/cluster/``, which share a cluster. Tests that measure time
have the machine to themselves.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

# Files that are there in any case: what is locked is the right to run, and nothing in them.
_ROOM = Path(__file__)
_DOOR = Path(__file__).with_name("conftest.py")
_UNITS = ("tests/integration/", "tests/cluster/")


class SharedOut(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out one file after the other, in the order of the collection, which has the long ones first."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """What a test is handed out with: its file, or all the tests of some folders."""
    return next((unit for unit in _UNITS if nodeid.startswith(unit)), nodeid.partition("::")[0])


def is_alone(item: pytest.Item) -> bool:
    """Whether a test wants nothing else to run beside it."""
    return item.get_closest_marker("alone") is not None


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Wait until nobody runs who is alone, or until nobody runs at all if `alone`; and keep the others waiting."""
    with _DOOR.open() as door, _ROOM.open() as room:
        # Who waits for the room to be empty stands in the door, so that it does become empty.
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
