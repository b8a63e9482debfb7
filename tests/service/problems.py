"""What every problem document of this API must be, whatever went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
from starlette.testclient import TestClient

GOOD = {"carrier": "UA", "hour": 17, "temp": 39.0, "wind": 8.5}


def problem_of(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The document of a refused request, after checking all that holds for each of them."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    document: dict[str, Any] = response.json()
    assert document["code"] == code, document
    assert document["type"] == f"urn:treeserve:problem:{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]
    assert document.get("n_faults", 0) >= len(document.get("faults", []))
    assert "predictions" not in document
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    return document


def refuse(client: TestClient, body: bytes, status: int, code: str) -> dict[str, Any]:
    """Post a body that must be refused."""
    response = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    return problem_of(response, status, code)


def refuse_instances(client: TestClient, *instances: Any) -> list[tuple[str, str]]:
    """Post instances that must be refused with 422; each fault's pointer and code."""
    document = problem_of(client.post("/predict", json={"instances": instances}), 422, "invalid_request")
    return places(document)


def places(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Where the faults of a problem are, and of which kind."""
    assert all(set(fault) == {"pointer", "code", "detail"} and fault["detail"] for fault in document["faults"])
    return [(fault["pointer"], fault["code"]) for fault in document["faults"]]


def details(document: dict[str, Any]) -> str:
    """What the faults of a problem say, joined."""
    return "\n".join(fault["detail"] for fault in document["faults"])


def make_scope(headers: Mapping[str, str]) -> dict[str, Any]:
    """The ASGI scope of a POST to /predict; a Host is among its headers."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"x"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
