"""Lines that wait for each other lose neither their order nor a line."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.endpoints.line_batch import LineBatch
from app.endpoints.request_context import RequestContext
from app.line_sink import Piece
from app.metrics import Metrics
from app.payload_log import PayloadLog
from app.predictor import Predictor


class Log:
    """A batch and the payload log behind it."""

    def __init__(self, predictor: Predictor) -> None:
        self.sink = io.BytesIO()
        self.collectors = CollectorRegistry()
        self.payload_log = PayloadLog(self.sink, Metrics(self.collectors))
        self.payload_log.start()
        self.batch = LineBatch(self.payload_log)
        self.predictor = predictor
        features = predictor.signature.features
        self.instance = {feature.name: feature.categories[0] if feature.categories else 1 for feature in features}

    def add(self, request_id: str, predictor: Predictor | None = None) -> None:
        """A request of two instances."""
        body = json.dumps({"instances": [self.instance] * 2}).encode()
        context = RequestContext({b"x-request-id": request_id.encode()})
        self.batch.add(predictor or self.predictor, 2, body, "0.5,0.25", context, 0)

    def close(self) -> list[dict[str, Any]]:
        """All lines."""
        assert self.payload_log.close()
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]


@pytest.mark.parametrize("n_requests", [1, 31, 32, 33, 200])
def test_all_is_handed_over_in_order(predictor: Predictor, n_requests: int) -> None:
    """Whole batches by themselves, the rest when it is asked for."""

    async def ask() -> list[dict[str, Any]]:
        log = Log(predictor)
        for i in range(n_requests):
            log.add(str(i))
        log.batch.flush()
        return log.close()

    lines = asyncio.run(ask())
    expected = [(str(i), j) for i in range(n_requests) for j in range(2)]
    assert [(line["http.request.id"], line["treeserve.request.instance"]) for line in lines] == expected


def test_a_request_that_stays_alone_does_not_wait_for_ever(predictor: Predictor) -> None:
    """Time hands it over too, again and again."""

    async def ask() -> list[dict[str, Any]]:
        log = Log(predictor)
        for i in range(2):
            log.add(str(i))
            await asyncio.sleep(0.1)
        return log.close()

    assert [line["http.request.id"] for line in asyncio.run(ask())] == ["0", "0", "1", "1"]


def test_each_line_names_the_model_version_that_answered(predictor: Predictor) -> None:
    """Those of the version before are written first."""

    async def ask() -> list[dict[str, Any]]:
        log = Log(predictor)
        log.add("old")
        log.add("new", replace(predictor, log_members='"treeserve.model.version": "other"'))
        log.batch.flush()
        return log.close()

    versions = [(line["http.request.id"], line["treeserve.model.version"]) for line in asyncio.run(ask())]
    assert versions[0] == versions[1] != versions[2] == versions[3] == ("new", "other")


def test_lines_for_which_there_is_no_memory_are_counted(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """And requests go on."""

    class NoMemory:
        def add(self, *_: object) -> None:
            pass

        def __iter__(self) -> Iterator[Piece]:
            raise MemoryError

    monkeypatch.setattr(type(predictor.decoder), "gather_lines", lambda *_: NoMemory())

    async def ask() -> Log:
        log = Log(predictor)
        log.add("x")
        log.batch.flush()
        log.close()
        return log

    log = asyncio.run(ask())
    assert log.collectors.get_sample_value("treeserve_payload_dropped_total", {"reason": "no_memory"}) == 2
