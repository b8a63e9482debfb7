"""An MLflow server is asked with one bounded GET; a real HTTP server here answers as MLflow does, or worse."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.errors import ModelNotFound, RegistryUnreachable
from app.model_version import ModelVersion
from app.registry import rest
from app.registry.query import RegistryQuery
from app.registry.rest import ask_rest

BY_ALIAS = RegistryQuery("flight-delay", "champion", None)
BY_VERSION = RegistryQuery("flight-delay", None, "7")
FOUND = {"model_version": {"name": "flight-delay", "version": "7", "status": "READY", "run_id": "r7", "source": "x"}}
HTML = b"<html><body>Bad Gateway</body></html>"


class Server:
    """Answers every request with `status` and `body`, after `delay_s`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = json.dumps(FOUND).encode()
        self.delay_s = 0.0
        self.asked: list[tuple[str, dict[str, list[str]], str | None]] = []
        mlflow = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                mlflow.asked.append((parts.path, parse_qs(parts.query), self.headers["Authorization"]))
                time.sleep(mlflow.delay_s)
                self.send_response(mlflow.status)
                self.send_header("Content-Length", str(len(mlflow.body)))
                self.end_headers()
                self.wfile.write(mlflow.body)

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A caller that gave up is what a test is about."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.http.server_port}"
        self.uri = f"http://{self.host}"

    def fail(self, status: int, code: str, message: str) -> None:
        """Answer as MLflow answers an error."""
        self.status, self.body = status, json.dumps({"error_code": code, "message": message}).encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server, and an environment without credentials or proxies."""
    for name in ("USERNAME", "PASSWORD", "TOKEN", "INSECURE_TLS", "SERVER_CERT_PATH"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def unreachable(server: Server, uri: str | None = None) -> str:
    """Why the registry counts as unreachable."""
    with pytest.raises(RegistryUnreachable) as caught:
        ask_rest(BY_ALIAS, uri or server.uri)
    return str(caught.value)


@pytest.mark.parametrize(
    ("query", "path", "parameters"),
    [
        (BY_ALIAS, "registered-models/alias", {"name": ["flight-delay"], "alias": ["champion"]}),
        (BY_VERSION, "model-versions/get", {"name": ["flight-delay"], "version": ["7"]}),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/", "/mlflow/"])
def test_the_question_is_mlflows_own(
    server: Server, query: RegistryQuery, path: str, parameters: dict[str, list[str]], prefix: str
) -> None:
    """One GET, also behind a path prefix; the answer is a version whose files MLflow's client can download."""
    found = ask_rest(query, server.uri + prefix)
    expected = ModelVersion("flight-delay", "7", query.alias, "r7", "models:/flight-delay/7", is_immutable=True)
    assert found == expected
    assert server.asked == [(f"{prefix.rstrip('/')}/api/2.0/mlflow/{path}", parameters, None)]


def test_a_name_is_quoted(server: Server) -> None:
    """Whatever the model is called."""
    ask_rest(RegistryQuery("a&b=ö ?", "x", None), server.uri)
    assert server.asked[0][1] == {"name": ["a&b=ö ?"], "alias": ["x"]}


@pytest.mark.parametrize("run_id", [{"run_id": ""}, {"run_id": None}, {}])
def test_a_version_without_a_run_has_none(server: Server, run_id: dict[str, Any]) -> None:
    """One that was registered from files alone."""
    version = {name: value for name, value in FOUND["model_version"].items() if name != "run_id"} | run_id
    server.body = json.dumps({"model_version": version}).encode()
    assert ask_rest(BY_ALIAS, server.uri).run_id is None


def test_an_unknown_model_is_told_with_the_server_that_was_asked(server: Server) -> None:
    """The wrong server is as likely as the wrong name."""
    server.fail(404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=flight-delay not found")
    with pytest.raises(ModelNotFound, match=f"registry at {server.uri} has no registered model 'flight-delay'"):
        ask_rest(BY_ALIAS, server.uri)


@pytest.mark.parametrize(
    ("query", "status", "code", "message", "told"),
    [
        (BY_ALIAS, 400, "INVALID_PARAMETER_VALUE", "Registered model alias champion not found.", "alias 'champion'"),
        (BY_VERSION, 404, "RESOURCE_DOES_NOT_EXIST", "Model Version (name=x, version=7) not found", "version 7"),
    ],
)
def test_an_unknown_alias_or_version_is_told(
    server: Server, query: RegistryQuery, status: int, code: str, message: str, told: str
) -> None:
    """MLflow answers an alias that is not there with 400."""
    server.fail(status, code, message)
    with pytest.raises(ModelNotFound, match=f"'flight-delay' has no {told}"):
        ask_rest(query, server.uri)


def test_a_version_that_is_still_being_registered_is_not_served(server: Server) -> None:
    """Its files may not be whole."""
    server.body = json.dumps({"model_version": FOUND["model_version"] | {"status": "PENDING_REGISTRATION"}}).encode()
    with pytest.raises(ModelNotFound, match="status is PENDING_REGISTRATION"):
        ask_rest(BY_ALIAS, server.uri)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body", [b"You are not authenticated.", b"", b'{"error_code": "PERMISSION_DENIED", "message": ""}']
)
def test_a_server_that_refuses_us_is_told_with_what_to_set(server: Server, status: int, body: bytes) -> None:
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
def test_an_answer_that_is_not_mlflows_is_no_answer(server: Server, status: int, body: bytes) -> None:
    """A proxy's error page, or another service at that address: the text says what to check."""
    server.status, server.body = status, body
    text = unreachable(server)
    assert f"{server.uri} does not answer as one" in text
    assert "check MLFLOW_TRACKING_URI" in text


def test_another_error_of_mlflows_is_passed_on(server: Server) -> None:
    """With its status, code and words."""
    server.fail(500, "INTERNAL_ERROR", "database is gone")
    assert f"{server.uri} answers 500 INTERNAL_ERROR: database is gone" in unreachable(server)


def test_a_server_that_hangs_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start must end, one way or the other."""
    monkeypatch.setattr(rest, "_TIMEOUT_S", 0.1)
    server.delay_s = 0.5
    began = time.monotonic()
    assert "ReadTimeout" in unreachable(server)
    assert time.monotonic() - began < 0.45


def test_nobody_there_is_told(server: Server) -> None:
    """Nothing listens on the port."""
    assert "ConnectionError" in unreachable(server, "http://127.0.0.1:9")


@pytest.mark.parametrize("uri", ["http://", "https://no such host/"])
def test_an_address_that_is_none_is_told(server: Server, uri: str) -> None:
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
    server: Server,
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
