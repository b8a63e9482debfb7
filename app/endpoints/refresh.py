"""``POST /model/refresh``: look at the registry now, for whoever has just moved an alias."""

from __future__ import annotations

import hmac
import ipaddress

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request

from app.errors import NotAnOperator, NotAuthenticated
from app.polling import Source
from app.settings import Settings


class RefreshAnswer(BaseModel):
    """The registry is being asked; `GET /model` says what came of it."""

    refreshing: bool = True


def refresh_router(source: Source, settings: Settings) -> APIRouter:
    """The route of ``POST /model/refresh``."""
    router = APIRouter(tags=["operations"])

    @router.post(
        "/model/refresh",
        summary="Look at the registry now",
        status_code=202,
        responses={
            401: {"description": "The operators' token is missing or wrong."},
            403: {"description": "There is no such token, and the caller is not on the service's own machine."},
        },
    )
    async def refresh(request: Request) -> RefreshAnswer:
        _check_operator(request, settings)
        source.refresh()
        return RefreshAnswer()

    return router


def _check_operator(request: Request, settings: Settings) -> None:
    if settings.operator_token is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        expected = settings.operator_token.get_secret_value().encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected):
            raise NotAuthenticated("Send the header 'Authorization: Bearer …' with what TREESERVE_OPERATOR_TOKEN says.")
    elif request.client is None or not _is_loopback(request.client.host):
        raise NotAnOperator("Without TREESERVE_OPERATOR_TOKEN, only callers on the service's own machine may ask this.")


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a Unix socket, a test's client
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
