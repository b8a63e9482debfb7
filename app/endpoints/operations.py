"""What operators ask: whether it is alive, whether it may have traffic, how it is doing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.drain import Drain
from app.errors import ServiceEnding
from app.exposition import Format, choose_format
from app.rollout import Rollout


class Liveness(BaseModel):
    """The process answers; restarting it would not help."""

    live: bool = True


class Readiness(BaseModel):
    """A verified model version serves."""

    ready: bool = True
    name: str
    version: str


def operations_router(rollout: Rollout, expose: Callable[[Format], Awaitable[bytes]], drain: Drain) -> APIRouter:
    """The routes of the two probes and of the metrics."""
    router = APIRouter(tags=["operations"])

    # Coroutines, so that neither probe nor scrape needs a thread while all of them are busy with batches.
    @router.get("/livez", summary="Is the process alive?")
    async def get_liveness() -> Liveness:
        return Liveness()

    @router.get(
        "/readyz",
        summary="May it have traffic?",
        responses={503: {"description": "Not yet, or not any more; it says why."}},
    )
    async def get_readiness() -> Readiness:
        if drain.has_begun:
            raise ServiceEnding("The process was told to end; its traffic belongs to others.")
        version = rollout.current.version
        return Readiness(name=version.name, version=version.version)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def get_metrics(request: Request) -> Response:
        form = choose_format(request.headers.get("accept", ""))
        return Response(await expose(form), media_type=form, headers={"Vary": "Accept"})

    return router
