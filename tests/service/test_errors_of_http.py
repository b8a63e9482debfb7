"""Requests that are refused for their size, type, method or path, before any feature is looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from tests.service.conftest import Serve
from tests.service.problems import GOOD, make_scope, problem_of
from tests.services import Service

BODY = json.dumps({"instances": [GOOD]}).encode()


def call(service: Service, headers: dict[str, str], messages: Iterator[Message]) -> tuple[int, bytes]:
    """POST /predict over ASGI itself; `messages` is what the server would have received, in its order."""
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    assert service.client.portal is not None
    service.client.portal.call(service.app, make_scope(headers), receive, send)
    return (sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])) if sent else (0, b"")


def test_a_body_declared_too_large_is_refused_before_it_is_read(serve: Serve) -> None:
    """Content-Length alone decides: not one byte of the body is asked for."""

    def never() -> Iterator[Message]:
        raise AssertionError("the body was read")
        yield

    status, answer = call(serve(max_body_bytes=100), {"content-length": "101"}, never())
    assert status == 413
    assert json.loads(answer)["code"] == "body_too_large"


def test_a_chunked_body_is_read_no_further_than_the_limit(serve: Serve) -> None:
    """Without a Content-Length reading stops with the first byte too many, however much would follow."""
    n_read = 0

    def long() -> Iterator[Message]:
        nonlocal n_read
        for _ in range(1_000):
            n_read += 1
            yield {"type": "http.request", "body": b" " * 30, "more_body": True}

    status, answer = call(serve(max_body_bytes=100), {"transfer-encoding": "chunked"}, long())
    assert status == 413
    assert json.loads(answer)["code"] == "body_too_large"
    assert n_read == 4


def test_a_content_length_that_lies_does_not_lift_the_limit(serve: Serve) -> None:
    """A body longer than it declares to be is counted as it comes."""
    messages = iter([{"type": "http.request", "body": b" " * 101, "more_body": False}])
    assert call(serve(max_body_bytes=100), {"content-length": "5"}, messages)[0] == 413


def test_a_body_of_exactly_the_limit_is_answered(serve: Serve) -> None:
    """The limit is the largest body that is read."""
    client = serve(max_body_bytes=len(BODY)).client
    assert client.post("/predict", content=BODY).status_code == 200
    document = problem_of(client.post("/predict", content=BODY + b" "), 413, "body_too_large")
    assert f"more than {len(BODY)} bytes" in document["detail"]


def test_a_caller_who_goes_away_is_counted_and_not_answered(service: Service) -> None:
    """A connection that closes in mid-body is neither an error of ours nor a prediction."""
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": BODY[:9], "more_body": True}, {"type": "http.disconnect"}]
    )
    assert call(service, {}, messages) == (0, b"")
    assert service.sample("treeserve_requests_total", route="/predict", status="499") == 1
    assert service.sample("treeserve_requests_in_flight") == 0


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({"Content-Type": "text/csv"}, "'text/csv'"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "'Content-Type: application/json'"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "'multipart/form-data'"),
        ({"Content-Type": "application/json; charset=latin-1"}, "UTF-8"),
        ({"Content-Type": "application/json; charset=utf-16"}, "UTF-8"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "compressed"),
        ({"Content-Encoding": "br"}, "compressed"),
    ],
)
def test_another_content_type_is_415(client: TestClient, headers: dict[str, str], hint: str) -> None:
    """What is not declared as plain JSON in UTF-8 is not read; the caller is told what to send."""
    document = problem_of(client.post("/predict", content=BODY, headers=headers), 415, "unsupported_media_type")
    assert hint in document["detail"]


@pytest.mark.parametrize("path", ["/predict", "/feedback", "/model"])
def test_several_hosts_are_refused_wherever_they_ask(service: Service, path: str) -> None:
    """Before the path is looked at, and counted apart: alerts stand on the routes'."""
    headers = [("Host", "a"), ("Host", "b"), ("Content-Type", "application/json")]
    response = service.client.post(path, content=BODY, headers=headers)
    assert "2 Host headers" in problem_of(response, 400, "invalid_head")["detail"]
    assert response.headers["connection"] == "close"
    assert service.sample("treeserve_requests_total", route="unparsed", status="400") == 1
    assert service.sample("treeserve_requests_total", route=path, status="400") is None


def test_an_identity_encoding_is_none(client: TestClient) -> None:
    """Content-Encoding: identity says that nothing is encoded."""
    assert client.post("/predict", content=BODY, headers={"Content-Encoding": "identity"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", {"POST"}),
        ("PUT", "/predict", {"POST"}),
        ("DELETE", "/predict", {"POST"}),
        ("POST", "/model", {"GET"}),
        ("POST", "/readyz", {"GET"}),
        ("DELETE", "/metrics", {"GET"}),
    ],
)
def test_another_method_is_405_with_those_allowed(
    client: TestClient, method: str, path: str, allowed: set[str]
) -> None:
    """The Allow header lists what the path answers."""
    response = client.request(method, path)
    problem_of(response, 405, "method_not_allowed")
    assert allowed <= set(response.headers["allow"].split(", ")) <= allowed | {"HEAD"}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/model", "/docs", "/openapi.json"])
def test_head_is_answered_as_get(client: TestClient, path: str) -> None:
    """Load balancers probe with it; the web server leaves the body away."""
    got, asked = client.get(path), client.head(path)
    assert (asked.status_code, asked.headers["content-type"]) == (200, got.headers["content-type"])


@pytest.mark.parametrize(
    "path", ["/nothing", "/predict/", "/Predict", "/docs/assets/none.js", "/docs/assets/../main.py"]
)
def test_an_unknown_path_is_404(client: TestClient, path: str) -> None:
    """Also one that is nearly right: no redirect leads a POST astray."""
    assert (
        "GET /docs"
        in problem_of(client.post(path, content=BODY) if "assets" not in path else client.get(path), 404, "not_found")[
            "detail"
        ]
    )


@pytest.mark.parametrize("path", ["/predict", "/readyz", "/model"])
def test_before_a_model_serves_it_is_503_with_the_reason_and_retry_after(
    serve: Serve, tmp_path: Any, path: str
) -> None:
    """A load balancer takes the pod out; a person reads why."""
    (tmp_path / "empty").mkdir()
    client = serve(tmp_path / "empty", ready=False).client
    response = client.post(path, content=BODY) if path == "/predict" else client.get(path)
    document = problem_of(response, 503, "not_ready")
    assert "holds no MLmodel file" in document["detail"]
    assert int(response.headers["retry-after"]) > 0


def test_a_request_id_stands_in_errors_too(client: TestClient) -> None:
    """The caller's own id comes back in header and document, whatever went wrong."""
    for path in ("/predict", "/nothing"):
        response = client.post(path, content=b"{", headers={"X-Request-ID": "mine-1"})
        assert response.json()["request_id"] == response.headers["x-request-id"] == "mine-1"
