"""``POST /feedback``: outcomes are accepted whole or not at all, and stand in the log beside the predictions."""

from __future__ import annotations

from typing import Any

import pytest

from app import payload_log
from app.endpoints.overload import Overload
from tests.service.conftest import Serve
from tests.service.problems import problem_of
from tests.services import Service

MEDIA = "unsupported_media_type"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def tell(service: Service, *outcomes: dict[str, Any], **headers: str) -> Any:
    """The response to some outcomes."""
    return service.client.post("/feedback", json={"outcomes": outcomes}, headers=headers)


def test_an_outcome_stands_beside_its_prediction(service: Service) -> None:
    """By the request's id and the instance's number; both are counted."""
    body = service.client.get("/model").json()["input_example"]
    answer = service.client.post("/predict", json={"instances": body["instances"] * 2}).json()
    told = {"request_id": answer["request_id"], "instance": 1, "outcome": True}
    response = tell(service, told, **{"X-Request-ID": "tells", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert (response.status_code, response.json()) == (202, {"request_id": "tells", "accepted": 1})
    _, predicted, outcome = service.log_lines(3)
    assert outcome["event.dataset"] == "treeserve.feedback"
    for name in ("http.request.id", "treeserve.request.instance"):
        assert outcome[name] == predicted[name]
    assert outcome["treeserve.outcome"] == 1
    assert outcome["treeserve.feedback.request_id"] == "tells"
    assert outcome["trace.id"] == TRACE
    assert outcome["treeserve.observed_at"] == outcome["@timestamp"]
    assert service.sample("treeserve_payload_written_total") == 3
    assert service.sample("treeserve_requests_total", route="/feedback", status="202") == 1


def test_a_large_body_is_taken_too(service: Service) -> None:
    """In a thread, with the same answer."""
    outcomes = [{"request_id": "batch", "instance": n, "outcome": n % 2} for n in range(1_000)]
    assert tell(service, *outcomes).json()["accepted"] == 1_000
    lines = service.log_lines(1_000)
    assert [line["treeserve.request.instance"] for line in lines] == list(range(1_000))


def test_one_fault_and_nothing_is_recorded(service: Service) -> None:
    """All faults are told."""
    good = {"request_id": "a", "instance": 0, "outcome": 1}
    problem = problem_of(
        tell(service, good, {**good, "instance": -1}, {**good, "observed_at": "today"}), 422, "invalid_request"
    )
    assert [fault["pointer"] for fault in problem["faults"]] == ["/outcomes/1/instance", "/outcomes/2/observed_at"]
    assert problem["detail"] == "The request has 2 faults; nothing was recorded."
    tell(service, {**good, "request_id": "b"})
    assert [line["http.request.id"] for line in service.log_lines(1)] == ["b"]


def test_limits_hold_as_for_predictions(serve: Serve) -> None:
    """Of the body's bytes, of outcomes, of the content type."""
    service = serve(max_instances=1, max_body_bytes=1_000)
    outcome = {"request_id": "a", "instance": 0, "outcome": 1}
    problem_of(tell(service, outcome, outcome), 413, "too_many_outcomes")
    problem_of(service.client.post("/feedback", content=b" " * 1_001), 413, "body_too_large")
    problem_of(service.client.post("/feedback", content="a=1", headers={"content-type": "text/plain"}), 415, MEDIA)
    problem_of(service.client.get("/feedback"), 405, "method_not_allowed")


def test_without_a_payload_log_it_says_so(serve: Serve) -> None:
    """What would be lost is not accepted."""
    response = tell(serve(payload_log="off"), {"request_id": "a", "instance": 0, "outcome": 1})
    problem = problem_of(response, 404, "feedback_not_kept")
    assert "TREESERVE_PAYLOAD_LOG" in problem["detail"]


def test_before_a_model_serves_feedback_is_taken(serve: Serve, tmp_path: Any) -> None:
    """It concerns predictions that were made before, perhaps by another process."""
    service = serve(tmp_path / "nothing", ready=False)
    assert tell(service, {"request_id": "a", "instance": 0, "outcome": 1}).status_code == 202


def test_an_overloaded_process_takes_no_feedback(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that wait for a thread take memory, as those of predictions do."""
    monkeypatch.setattr(Overload, "is_full", property(lambda _: True))
    problem_of(tell(service, {"request_id": "a", "instance": 0, "outcome": 1}), 503, "overloaded")


def test_what_the_log_has_no_room_for_is_not_accepted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller is asked to send it again."""
    monkeypatch.setattr(payload_log.PayloadLog, "record", lambda *_, **__: False)
    response = tell(service, {"request_id": "a", "instance": 0, "outcome": 1})
    problem_of(response, 503, "overloaded")
    assert response.headers["retry-after"] == "1"
