"""The smoke test of a deployment, against servers that answer almost as the service does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from delivery.errors import DeliveryFailed
from delivery.smoke import try_service
from tests.http_servers import serving

EXAMPLE = {"instances": [{"size": 1}, {"size": 2}]}
MODEL = {"name": "mine", "version": "7", "input_example": EXAMPLE}


@contextmanager
def answering(**changes: tuple[int, str]) -> Iterator[str]:
    """A server with the right answers but for some; where."""
    answers = {
        "readyz": (200, "ready"),
        "model": (200, json.dumps(MODEL)),
        "example": (200, '{"predictions": [0.5, 1]}'),
        "fault": (422, "{}"),
    } | changes

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(self.path[1:])

        def do_POST(self) -> None:
            body: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer("example" if body == EXAMPLE else "fault")

        def answer(self, name: str) -> None:
            status, text = answers[name]
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Answer)) as url:
        yield url


@pytest.mark.parametrize("predictions", ["[0.5, 1]", "[[0.1, 0.9], [0.5, 0.5]]"])
def test_what_predicts_passes(predictions: str) -> None:
    with answering(example=(200, f'{{"predictions": {predictions}}}')) as url:
        assert try_service(url) == "mine 7"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"readyz": (503, "no model")}, "/readyz answers 503, not 200: no model"),
        ({"model": (200, "<html>")}, "/model does not answer JSON"),
        ({"example": (500, "")}, "/predict answers 500"),
        ({"example": (200, '{"predictions": [0.5]}')}, "answers 2 instances with"),
        ({"example": (200, '{"predictions": [0.5, NaN]}')}, "answers 2 instances with"),
        ({"example": (200, '{"predictions": [0.5, null]}')}, "answers 2 instances with"),
        ({"example": (200, '{"predictions": [[], []]}')}, "answers 2 instances with"),
        ({"example": (200, "[]")}, "does not answer as treeserve does"),
        ({"example": (200, '{"predictions": 1}')}, "does not answer as treeserve does"),
        ({"model": (200, "{}")}, "does not answer as treeserve does: {}"),
        ({"fault": (200, '{"predictions": [0.5]}')}, "/predict answers 200, not 422"),
    ],
)
def test_what_does_not_predict_right_fails(changes: dict[str, tuple[int, str]], said: str) -> None:
    with answering(**changes) as url, pytest.raises(DeliveryFailed, match=said):
        try_service(url)


def test_what_does_not_answer_fails() -> None:
    with pytest.raises(DeliveryFailed, match="/readyz does not answer"):
        try_service("http://127.0.0.1:1")
