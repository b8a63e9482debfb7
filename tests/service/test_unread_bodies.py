"""A body that is refused unread must not be taken in all the same: the connection is closed behind the answer."""

from __future__ import annotations

import json

from starlette.testclient import TestClient

from tests.service.conftest import Serve
from tests.service.problems import GOOD

BODY = json.dumps({"instances": [GOOD]})
JSON = {"Content-Type": "application/json"}


def test_a_body_refused_unread_closes_the_connection(serve: Serve) -> None:
    """A server that kept the connection would read all the rest of the body to find the next request."""
    client = serve(max_body_bytes=10).client
    too_large = client.post("/predict", content=BODY, headers=JSON)
    assert (too_large.status_code, too_large.headers["connection"]) == (413, "close")
    nowhere = client.post("/nowhere", content=BODY, headers=JSON)
    assert (nowhere.status_code, nowhere.headers["connection"]) == (404, "close")


def test_an_answered_request_keeps_the_connection(client: TestClient) -> None:
    """A caller with a read body, good or bad, or with none at all, goes on with the same connection."""
    assert "connection" not in client.post("/predict", content=BODY, headers=JSON).headers
    assert "connection" not in client.post("/predict", content=b"{}", headers=JSON).headers
    assert "connection" not in client.get("/nowhere").headers
