"""A busy event loop is seen from outside: by how late it comes."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop
from prometheus_client import CollectorRegistry

from app import loop_lag
from app.loop_lag import LoopLag
from app.metrics import Metrics
from tests.services import wait


def test_what_holds_up_the_event_loop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again; until it is stopped."""
    monkeypatch.setattr(loop_lag, "_EVERY_S", 0.01)
    collectors = CollectorRegistry()
    lag = Metrics(collectors).loop_lag.values[()]

    def count(bound: str) -> float:
        found = collectors.get_sample_value("treeserve_event_loop_lag_seconds_bucket", {"le": bound})
        assert found is not None
        return found

    async def watch() -> None:
        watching = LoopLag(lag, asyncio.get_running_loop())
        await asyncio.sleep(0.05)
        n_before = count("+Inf")
        assert n_before >= 2
        held_up_until = time.monotonic() + 0.2
        for _ in wait():
            if time.monotonic() > held_up_until:
                break
        await asyncio.sleep(0.05)
        assert count("+Inf") - count("0.1") >= 1
        watching.stop()
        n_before = count("+Inf")
        await asyncio.sleep(0.05)
        assert count("+Inf") == n_before

    uvloop.run(watch())
