"""A server that is slow, silent, foreign or forbidding is told as what it is, within a bounded time."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from app.errors import ModelNotFound, RegistryUnreachable
from app.registry import rest
from app.registry.query import RegistryQuery
from app.registry.rest import ask_rest
from tests.unit.registry.fake_server import FakeServer

BY_ALIAS = RegistryQuery("flight-delay", "champion", None)
HTML = b"<html><body>Bad Gateway</body></html>"


def unreachable(server: FakeServer, uri: str | None = None) -> str:
    """Why the registry counts as unreachable."""
    with pytest.raises(RegistryUnreachable) as caught:
        ask_rest(BY_ALIAS, uri or server.uri)
    return str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body", [b"You are not authenticated.", b"", b'{"error_code": "PERMISSION_DENIED", "message": ""}']
)
def test_a_server_that_refuses_us_is_told_with_what_to_set(server: FakeServer, status: int, body: bytes) -> None:
    """MLflow says so in plain text, a proxy in HTML."""
    server.status, server.body = status, body
    text = unreachable(server)
    assert f"{server.uri} refuses us ({status})" in text
    assert "MLFLOW_TRACKING_USERNAME" in text
    assert "MLFLOW_TRACKING_TOKEN" in text


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, HTML),
        (502, b""),
        (200, HTML),
        (200, b"[]"),
        (200, b"null"),
        (200, b'{"model_version": 7}'),
        (200, b'{"model_version": {}}'),
        (200, b"{}"),
        (404, b'{"detail": "Not Found"}'),
        (200, b"\xff\xfe"),
    ],
)
def test_an_answer_that_is_not_mlflows_is_no_answer(server: FakeServer, status: int, body: bytes) -> None:
    """A proxy's error page, or another service at that address: the text says what to check."""
    server.status, server.body = status, body
    text = unreachable(server)
    assert f"{server.uri} does not answer as one" in text
    assert "check MLFLOW_TRACKING_URI" in text


def test_another_error_of_mlflows_is_passed_on(server: FakeServer) -> None:
    """With its status, code and words."""
    server.fail(500, "INTERNAL_ERROR", "database is gone")
    assert f"{server.uri} answers 500 INTERNAL_ERROR: database is gone" in unreachable(server)


def test_a_server_that_hangs_is_given_up(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start must end, one way or the other."""
    monkeypatch.setattr("app.registry.server._WAIT_S", 0.1)
    server.delay_s = 10
    began = time.monotonic()
    assert "ReadTimeout" in unreachable(server)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_server_that_never_ends_is_given_up(server: FakeServer, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Though there is always a byte more in time."""
    monkeypatch.setattr(rest, "_TIMEOUT_S", 0.3)
    server.drips = part
    began = time.monotonic()
    assert f"MLflow server at {server.uri} does not answer within 0.3 s; check" in unreachable(server)
    assert time.monotonic() - began < 5


def test_questions_that_never_end_do_not_pile_up(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry is asked again and again for years, and each such question keeps a thread."""
    monkeypatch.setattr(rest, "_TIMEOUT_S", 0.05)
    monkeypatch.setattr(rest, "_asking", threading.BoundedSemaphore(2))
    server.drips = "body"
    before = threading.active_count()
    told = [unreachable(server) for _ in range(5)]
    assert ["has not answered what it was asked before" in text for text in told] == [False] * 2 + [True] * 3
    assert threading.active_count() - before <= 2 + 2  # and the server's own
    server.ended.set()
    for thread in threading.enumerate():
        if thread.name == "registry":  # it lets go of what stands for `_asking` here
            thread.join(20)


def test_an_answer_is_not_read_without_end(server: FakeServer) -> None:
    """Another service at that address may have gigabytes to send."""
    server.body = b" " * (4 * 2**20 + 1)
    assert "does not answer as one (more than 4194304 bytes)" in unreachable(server)


def test_a_long_error_is_told_in_short(server: FakeServer) -> None:
    """It stands in a log line, and in the answer of /readyz."""
    server.fail(500, "INTERNAL_ERROR", "x" * 10_000)
    assert len(unreachable(server)) < 700


def test_nobody_there_is_told(server: FakeServer) -> None:
    """Nothing listens on the port."""
    assert "ConnectionError" in unreachable(server, "http://127.0.0.1:9")


@pytest.mark.parametrize("uri", ["http://", "https://no such host/"])
def test_an_address_that_is_none_is_told(server: FakeServer, uri: str) -> None:
    """A misspelt setting is no crash."""
    assert "check MLFLOW_TRACKING_URI" in unreachable(server, uri)


def basic(user: str, password: str) -> str:
    """The header that HTTP's basic authentication sends."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("environ", "in_uri", "sent"),
    [
        ({"USERNAME": "me", "PASSWORD": "s3cret"}, "", basic("me", "s3cret")),
        ({"TOKEN": "s3cret"}, "", "Bearer s3cret"),
        ({}, "me:s3cret@", basic("me", "s3cret")),
        ({"USERNAME": "me", "PASSWORD": "s3cret", "TOKEN": "t"}, "", basic("me", "s3cret")),
        ({"USERNAME": "me"}, "", None),
    ],
    ids=["basic", "token", "in the address", "basic before token", "half"],
)
@pytest.mark.parametrize("fault", ["html", "refused", "mlflow", "unknown model"])
def test_credentials_are_sent_and_never_shown(
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    in_uri: str,
    sent: str | None,
    fault: str,
) -> None:
    """MLflow's own variables, or the address; whatever goes wrong, the text is free of them."""
    for name, value in environ.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    uri = f"http://{in_uri}{server.host}"
    ask_rest(BY_ALIAS, uri)
    assert server.asked[0][2] == sent
    if fault == "unknown model":
        server.fail(404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=x not found")
    elif fault == "mlflow":
        server.fail(500, "INTERNAL_ERROR", "no")
    else:
        server.status, server.body = (500 if fault == "html" else 401), HTML
    with pytest.raises((RegistryUnreachable, ModelNotFound)) as caught:
        ask_rest(BY_ALIAS, uri)
    assert server.host in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
