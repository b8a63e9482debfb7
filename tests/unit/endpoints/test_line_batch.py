"""Lines that wait for each other lose neither their order nor a line."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from app.endpoints.line_batch import LineBatch
from app.endpoints.request_context import RequestContext
from app.line_sink import Piece
from app.metrics import Metrics
from app.payload_log import PayloadLog
from app.predictor import Predictor
from app.shadow.roles import Cast, Roles
from app.shadow.shadow import Shadow
from app.wire.log_lines import LineMaker
from tests.challengers import COMPARED


class Log:
    """A batch and the payload log behind it."""

    def __init__(self, predictor: Predictor) -> None:
        self.sink = io.BytesIO()
        self.collectors = CollectorRegistry()
        metrics = Metrics(self.collectors)
        self.payload_log = PayloadLog(self.sink, metrics)
        self.payload_log.start()
        self.shadow = Shadow(self.payload_log, metrics)
        self.batch = LineBatch(self.payload_log, self.shadow)
        self.roles = Cast(predictor, None).usual
        features = predictor.signature.features
        self.instance = {feature.name: feature.categories[0] if feature.categories else 1 for feature in features}

    def add(self, request_id: str, roles: Roles | None = None, *, is_wanted: bool = True) -> None:
        """A request of two instances."""
        body = json.dumps({"instances": [self.instance] * 2}).encode()
        context = RequestContext({b"x-request-id": request_id.encode()})
        roles = roles or self.roles
        matrix = roles.predictor.decoder.read_plain(body, 2)
        assert matrix is not None
        predictions = np.array([0.5, 0.25], np.float32)
        self.batch.add(roles, matrix, predictions, body, "0.5,0.25", context, 0, is_wanted=is_wanted)

    def close(self) -> list[dict[str, Any]]:
        """All lines."""
        self.shadow.close(timeout_s=20)
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
        log.add("new", Cast(replace(predictor, log_members='"treeserve.model.version": "other"'), None).usual)
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

    monkeypatch.setattr(LineMaker, "gather", lambda *_: NoMemory())

    async def ask() -> Log:
        log = Log(predictor)
        log.add("x")
        log.batch.flush()
        log.close()
        return log

    log = asyncio.run(ask())
    assert log.collectors.get_sample_value("treeserve_payload_dropped_total", {"reason": "no_memory"}) == 2


@pytest.mark.parametrize("n_requests", [1, 33, 200])
def test_with_a_challenger_all_go_into_its_shadow_first(predictor: Predictor, n_requests: int) -> None:
    """And those that the log wants, from there into the log, in their order."""

    async def ask() -> Log:
        log = Log(predictor)
        log.shadow.start()
        roles = Cast(predictor, replace(predictor, version=replace(predictor.version, version="8"))).usual
        for i in range(n_requests):
            log.add(str(i), roles, is_wanted=i % 3 == 0)
        log.batch.flush()
        return log

    log = asyncio.run(ask())
    lines = log.close()
    expected = [(str(i), j) for i in range(0, n_requests, 3) for j in range(2)]
    assert [(line["http.request.id"], line["treeserve.request.instance"]) for line in lines] == expected
    assert all("treeserve.challenger.prediction" in line for line in lines)
    assert log.collectors.get_sample_value("treeserve_challenger_disagreement_count", COMPARED) == 2 * n_requests


@pytest.mark.parametrize("is_open", [True, False])
def test_what_the_shadow_does_not_take_is_recorded_all_the_same(predictor: Predictor, is_open: bool) -> None:
    """Without the other prediction; written or lost, as many lines are counted as were wanted."""

    async def ask() -> Log:
        log = Log(predictor)
        log.shadow.close()
        if not is_open:
            log.payload_log.close()
        roles = Cast(predictor, replace(predictor, version=replace(predictor.version, version="8"))).usual
        for i in range(10):
            log.add(str(i), roles, is_wanted=i % 2 == 0)
        log.batch.flush()
        return log

    log = asyncio.run(ask())
    lines = log.close()
    wanted = [str(i) for i in range(0, 10, 2) for _ in range(2)]
    assert [line["http.request.id"] for line in lines] == (wanted if is_open else [])
    assert not any("treeserve.challenger.prediction" in line for line in lines)
    n_lost = log.collectors.get_sample_value("treeserve_payload_dropped_total", {"reason": "closed"})
    assert n_lost == (0 if is_open else 10)
