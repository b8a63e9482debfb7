"""What callers see when the service itself fails: a problem with their request id, and never why."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.forest.kernel_forest import KernelForest
from app.service_log import configure_logging
from tests.boosters import make_model, make_table, train_booster
from tests.service.conftest import Serve
from tests.service.problems import GOOD, problem_of
from tests.services import Service


@pytest.fixture
def service_log(own_logging: None) -> Callable[[], list[dict[str, Any]]]:
    """What the service has written to its log; asking ends the log."""
    sink = io.BytesIO()
    handler = configure_logging(sink)

    def lines() -> list[dict[str, Any]]:
        handler.close()
        return [json.loads(line) for line in sink.getvalue().splitlines()]

    return lines


def test_a_failure_of_our_own_is_500_without_a_trace_and_logged_with_one(
    service: Service, monkeypatch: pytest.MonkeyPatch, service_log: Callable[[], list[dict[str, Any]]]
) -> None:
    """The caller gets a request id to ask with; the log has it beside the stack trace."""

    def fail(self: KernelForest, matrix: Any) -> Any:
        raise ZeroDivisionError("a secret in /etc/secret.py")

    monkeypatch.setattr(KernelForest, "predictions", fail)
    response = service.client.post("/predict", json={"instances": [GOOD]}, headers={"X-Request-ID": "mine-2"})

    assert problem_of(response, 500, "internal")["request_id"] == "mine-2"
    assert "secret" not in response.text
    assert "ZeroDivisionError" not in response.text
    (line,) = [line for line in service_log() if "error.stack_trace" in line]
    assert line["http.request.id"] == "mine-2"
    assert line["error.type"] == "ZeroDivisionError"
    assert "Traceback" in line["error.stack_trace"]
    assert line["log.level"] == "error"


def test_the_service_goes_on_after_a_failure(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that fails is counted as a 500 and leaves nothing in flight."""

    def fail(self: KernelForest, matrix: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as failing:
        failing.setattr(KernelForest, "predictions", fail)
        problem_of(service.client.post("/predict", json={"instances": [GOOD]}), 500, "internal")
    service.predict(GOOD)
    assert service.sample("treeserve_requests_total", route="/predict", status="500") == 1
    assert service.sample("treeserve_requests_total", route="/predict", status="200") == 1
    assert service.sample("treeserve_requests_in_flight") == 0
    assert service.sample("treeserve_rows_total") == 1


@pytest.fixture
def overflowing(serve: Serve, tmp_path: Path) -> Service:
    """A model whose sums of leaves are so large that `exp` of some is infinite."""
    table = make_table()
    target = np.where(table["hour"] > 12, 200.0, 1.0)
    parameters = {"objective": "reg:squarederror", "eta": 1.0, "lambda": 0.0, "base_score": 1.0}
    booster = train_booster(table, target, parameters, rounds=1)
    booster.set_param({"objective": "count:poisson"})
    return serve(make_model(booster=booster, table=table, card=None, with_golden=False).write(tmp_path / "model"))


def test_an_answer_that_is_not_finite_is_500_and_never_nan_in_json(overflowing: Service) -> None:
    """One infinite prediction refuses the request and names the instance; the finite one alone is answered."""
    early, late = {**GOOD, "hour": 1}, {**GOOD, "hour": 20}
    response = overflowing.client.post("/predict", json={"instances": [early, late]})
    document = problem_of(response, 500, "prediction_not_finite")
    assert "instance 1" in document["detail"]
    assert "NaN" not in response.text
    assert "Infinity" not in response.text
    assert len(overflowing.predict(early)) == 1
    assert len(overflowing.log_lines(1)) == 1
