"""What is asked of a running service, and what is told where nothing or something else answers."""

from __future__ import annotations

import json

import pytest

from app.bodies import served_model
from app.bodies.served_model import ask_model
from app.errors import BodiesUnavailable
from app.signature import Feature, FeatureType
from tests.processes import free_port
from tests.unit.bodies.conftest import ANSWER
from tests.unit.registry.fake_server import FakeServer


@pytest.mark.parametrize("ending", ["", "/", "/behind/a/path/"])
def test_a_service_is_asked_for_its_model(server: FakeServer, ending: str) -> None:
    """Once, at its URL; names and numbers of categories stay what they are."""
    model = ask_model(server.uri + ending)
    assert [path for path, _, _ in server.asked] == [f"{ending.rstrip('/')}/model"]
    assert model.signature.features == (
        Feature("carrier", FeatureType.CATEGORY, required=True, categories=("AA", "1")),
        Feature("gate", FeatureType.CATEGORY, categories=(1, 2)),
        Feature("temp", FeatureType.NUMBER),
    )
    assert (model.profile, model.limits.max_instances) == (None, 10)


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://localhost", "file:///etc/passwd", "http://", "http://[::1"]
)
def test_what_is_no_url_of_a_service_is_told(url: str) -> None:
    """With one that would be."""
    with pytest.raises(BodiesUnavailable) as caught:
        ask_model(url)
    assert str(caught.value) == f"{url!r} is not the URL of a service, such as http://127.0.0.1:8080"


def test_a_password_is_not_told() -> None:
    """Nor sent: urllib would look up a host of that name."""
    with pytest.raises(BodiesUnavailable, match=r"^a user name in the URL is not supported$"):
        ask_model("http://me:secret@127.0.0.1:8080")


def test_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(BodiesUnavailable) as caught:
        ask_model(url)
    assert str(caught.value) == f"{url} does not answer (Connection refused); check that treeserve runs there"


def test_a_service_that_is_too_slow_is_told(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_model, "_WAIT_S", 0.1)
    server.delay_s = 10
    with pytest.raises(BodiesUnavailable, match=r"does not answer \(timed out\); check that treeserve runs there"):
        ask_model(server.uri)


def test_a_model_that_is_not_ready_is_told_with_the_reason(server: FakeServer) -> None:
    server.status = 503
    server.body = json.dumps({"code": "not_ready", "detail": "No model version serves: it is loading"}).encode()
    with pytest.raises(BodiesUnavailable, match=r"is not ready: No model version serves: it is loading$"):
        ask_model(server.uri)


@pytest.mark.parametrize(("status", "body"), [(404, b"<html>"), (503, b"{}"), (503, b"[]"), (500, b"\xff")])
def test_another_service_is_told_with_its_answer(server: FakeServer, status: int, body: bytes) -> None:
    server.status, server.body = status, body
    with pytest.raises(BodiesUnavailable, match=f"answers GET /model with {status}; check that treeserve runs there$"):
        ask_model(server.uri)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"<html>", "/: Invalid JSON"),
        (b"{}", "/signature: Field required"),
        (json.dumps(ANSWER | {"input_example": {"instances": []}}).encode(), "/input_example/instances: List should"),
        (json.dumps(ANSWER)[:-1].replace("temp", "\\ud800").encode(), "/: Invalid JSON"),
    ],
)
def test_an_answer_that_is_another_is_told_with_the_place(server: FakeServer, body: bytes, place: str) -> None:
    """Such as one of another service, or of another version of treeserve."""
    server.body = body
    with pytest.raises(BodiesUnavailable) as caught:
        ask_model(server.uri)
    told = str(caught.value)
    assert told.startswith(f"{server.uri} answers, but not as this version of treeserve does (GET /model, at {place}")
    assert "\n" not in told


def test_an_answer_is_read_only_so_far(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever sends gigabytes is no treeserve."""
    monkeypatch.setattr(served_model, "_MAX_BYTES", 50)
    with pytest.raises(BodiesUnavailable, match="not as this version of treeserve does"):
        ask_model(server.uri)
