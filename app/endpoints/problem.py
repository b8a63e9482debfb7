"""Errors as ``application/problem+json`` (RFC 9457): one shape for all, and never a stack trace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.request_context import request_context
from app.errors import ServingError
from app.wire.answer import describe_fault

MEDIA_TYPE = "application/problem+json"

_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this path; GET /docs lists what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not answer this method; the Allow header lists those it does.",
}


def problem_document(status: HTTPStatus, code: str, title: str, detail: str, request_id: str) -> dict[str, Any]:
    """The members that every problem has."""
    return {
        "type": f"urn:treeserve:problem:{code}",
        "title": title,
        "status": int(status),
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }


def problem_response(
    request: Request,
    status: HTTPStatus,
    code: str,
    title: str,
    detail: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """
    One problem document.

    Parameters
    ----------
    code : str
        Stable name of the problem, part of the API.
    members : mapping, optional
        Further members of the document, such as `faults`.
    """
    document = problem_document(status, code, title, detail, request_context(request.scope).request_id)
    return Response(json.dumps(document | dict(members or {})), status, dict(headers or {}), MEDIA_TYPE)


async def answer_serving_error(request: Request, error: Exception) -> Response:
    """Answer any error of ours; its class says with what status."""
    assert isinstance(error, ServingError)
    members: dict[str, Any] = {}
    if error.faults:
        members = {"n_faults": error.n_faults, "faults": [describe_fault(fault) for fault in error.faults]}
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    if error.status == HTTPStatus.UNAUTHORIZED:  # says how, as RFC 9110 (15.5.2) wants it
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(request, error.status, error.code, error.title, error.detail, members, headers)


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = status.name.lower()
    detail = _DETAILS.get(status, status.description or status.phrase)
    return problem_response(request, status, code, status.phrase, detail, headers=error.headers)
