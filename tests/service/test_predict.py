"""``POST /predict`` with bodies that are right: whose answers, in which order, under which id."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import numpy as np
import pandas as pd
import pytest
import xgboost
from starlette.testclient import TestClient

from tests.boosters import CARRIERS, ModelFolderBuilder, make_table, to_instances
from tests.services import Service

INSTANCE = {"carrier": "UA", "hour": 17, "temp": 39.0, "wind": 8.5}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def ask(client: TestClient, instances: list[dict[str, Any]], **headers: str) -> httpx2.Response:
    return client.post("/predict", json={"instances": instances}, headers=headers)


def test_answers_are_those_of_the_booster_in_the_order_of_the_instances(
    client: TestClient, champion: ModelFolderBuilder
) -> None:
    """Prediction i belongs to instance i, and is what XGBoost answers."""
    table = make_table(n_rows=60, seed=1)
    expected = champion.booster.predict(xgboost.DMatrix(table, enable_categorical=True))
    assert len(set(expected.tolist())) > 20

    answer = ask(client, to_instances(table)).json()

    np.testing.assert_array_equal(np.asarray(answer["predictions"], np.float32), expected)


def test_an_answer_names_the_request_and_the_model_version(client: TestClient) -> None:
    """An answer has exactly the members that the API promises, as application/json."""
    response = ask(client, [INSTANCE], **{"X-Request-ID": "abc"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "request_id": "abc",
        "model": {"name": "flight-delay", "version": "7"},
        "predictions": [pytest.approx(0.5, abs=0.5)],
    }


def test_the_order_of_names_does_not_matter(service: Service) -> None:
    """Features are named, so a caller's order of names cannot be wrong."""
    backwards = dict(reversed(INSTANCE.items()))
    assert service.predict(INSTANCE) == service.predict(backwards)


def test_null_and_an_absent_optional_feature_are_the_same(service: Service) -> None:
    """Both are a missing value, which is not the same as zero."""
    absent, null, zero = (
        {"carrier": "UA", "hour": 17, "temp": 39.0},
        {"carrier": "UA", "hour": 17, "temp": 39.0, "wind": None},
        {"carrier": "UA", "hour": 17, "temp": 39.0, "wind": 0.0},
    )
    predictions = service.predict(absent, null, zero)
    assert predictions[0] == predictions[1] != predictions[2]


def test_null_is_a_missing_value_for_a_required_feature_too(service: Service, champion: ModelFolderBuilder) -> None:
    """Required means that the name must be there; its value may be unknown."""
    table = make_table(n_rows=1)
    table["carrier"] = pd.Categorical([None], categories=CARRIERS)
    expected = champion.booster.predict(xgboost.DMatrix(table, enable_categorical=True))
    np.testing.assert_array_equal(np.asarray(service.predict(*to_instances(table)), np.float32), expected)


@pytest.mark.parametrize("parameters", [{}, None])
def test_empty_parameters_are_accepted(client: TestClient, parameters: object) -> None:
    """Clients that always send `parameters`, as Vertex AI does, need no special case."""
    response = client.post("/predict", json={"instances": [INSTANCE], "parameters": parameters})
    assert response.status_code == 200


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=UTF-8", "Application/JSON", None])
def test_json_is_accepted_under_each_of_its_names(client: TestClient, media: str | None) -> None:
    """A content type may be absent, in capitals, or name UTF-8."""
    headers = {} if media is None else {"Content-Type": media}
    body = json.dumps({"instances": [INSTANCE]}).encode()
    assert client.post("/predict", content=body, headers=headers).status_code == 200


def test_a_forest_that_takes_long_is_evaluated_in_a_thread(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even for a single row: XGBoost takes milliseconds for one through a thousand trees."""
    forest = service.app.state.rollout.current.forest
    predictions = type(forest).predictions
    threads = []

    def watched(self: Any, matrix: Any) -> Any:
        threads.append(threading.current_thread().name.rpartition("_")[0])
        return predictions(self, matrix)

    monkeypatch.setattr(type(forest), "predictions", watched)
    monkeypatch.setattr(forest, "n_quick_rows", 2)
    service.predict(INSTANCE, INSTANCE)
    service.predict(INSTANCE, INSTANCE, INSTANCE)
    monkeypatch.setattr(forest, "n_quick_rows", 0)
    service.predict(INSTANCE)
    assert [name == "batch" for name in threads] == [False, True, True]


def test_a_large_batch_equals_the_same_instances_one_by_one(client: TestClient) -> None:
    """A body large enough to be read in a thread gets the answers that small bodies get inline."""
    instances = to_instances(make_table(n_rows=1_000, seed=2))
    assert len(json.dumps(instances)) > 32 * 1024

    batch = ask(client, instances).json()["predictions"]

    by_tens = [ask(client, instances[at : at + 10]).json()["predictions"] for at in range(0, 1_000, 10)]
    assert batch == [prediction for ten in by_tens for prediction in ten]


def test_a_body_in_many_chunks_is_one_body(client: TestClient) -> None:
    """Where the network cuts a body, without a Content-Length, makes no difference."""
    body = json.dumps({"instances": [INSTANCE]}).encode()
    response = client.post("/predict", content=(body[at : at + 1] for at in range(len(body))))
    assert response.json()["predictions"] == ask(client, [INSTANCE]).json()["predictions"]


def test_concurrent_requests_get_their_own_answers(client: TestClient, champion: ModelFolderBuilder) -> None:
    """Requests at the same time, small and large, never get each other's id or predictions."""
    table = make_table(n_rows=240, seed=3)
    expected = champion.booster.predict(xgboost.DMatrix(table, enable_categorical=True))
    instances = to_instances(table)

    def ask_for(start: int) -> bool:
        repeats = 80 if start % 4 == 0 else 1  # every other one is large enough for a thread
        answer = ask(client, instances[start : start + 6] * repeats, **{"X-Request-ID": f"id-{start}"}).json()
        same = np.array_equal(
            np.asarray(answer["predictions"], np.float32), np.tile(expected[start : start + 6], repeats)
        )
        return same and answer["request_id"] == f"id-{start}"

    with ThreadPoolExecutor(16) as callers:
        assert all(callers.map(ask_for, [*range(0, 234, 2)] * 2))


def test_a_callers_request_id_comes_back(client: TestClient) -> None:
    """A request id of 128 printable characters is taken as it is, into body and header."""
    given = "~!" * 64
    response = ask(client, [INSTANCE], **{"X-Request-ID": given})
    assert response.headers["x-request-id"] == response.json()["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "with space", "line\tfeed", "ü"])
def test_an_absent_or_bad_request_id_is_replaced(client: TestClient, given: str | None) -> None:
    """What could break a log line or a header is not echoed; the request gets an id of ours."""
    headers = [] if given is None else [(b"x-request-id", given.encode("latin-1"))]
    response = client.post("/predict", json={"instances": [INSTANCE]}, headers=headers)
    made = response.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert response.json()["request_id"] == made


def test_made_request_ids_differ(client: TestClient) -> None:
    """Two requests without an id can be told apart."""
    assert len({ask(client, [INSTANCE]).json()["request_id"] for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [
        (f"00-{TRACE_ID}-00f067aa0ba902b7-01", TRACE_ID),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        ("nonsense", None),
    ],
)
def test_the_trace_of_a_request_is_in_its_log_lines(service: Service, traceparent: str, expected: str | None) -> None:
    """A valid traceparent leads from the caller's trace to the prediction's line; another is ignored."""
    ask(service.client, [INSTANCE], traceparent=traceparent)
    assert service.log_lines(1)[0].get("trace.id") == expected
