"""``POST /feedback``: what came true of instances that were predicted, for whoever learns it later."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request

from app.cores import make_batch_threads
from app.endpoints.body import PATIENCE_S, read_json_body
from app.endpoints.overload import Overload
from app.endpoints.patience import Patience
from app.endpoints.request_context import RequestContext, request_context
from app.errors import FeedbackNotKept, Overloaded
from app.payload_log import PayloadLog
from app.settings import Settings
from app.wire.outcomes import MAX_INSTANCE, REQUEST_ID, feedback_lines, read_outcomes

# So much takes about a millisecond to read, whatever is wrong with it; more must not hold other requests up.
_INLINE_BYTES = 1024
_REFUSALS = {
    400: "The body is not JSON.",
    404: "The service keeps no payload log.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or has too many outcomes.",
    415: "The content type is not supported.",
    422: "The request is not valid.",
    503: "The payload log has no room at present.",
}


class OutcomeInfo(BaseModel):
    """
    What came true of one instance.

    It documents; bodies are read by the wire codec, and a test holds the two together.
    """

    model_config = ConfigDict(extra="forbid", title="Outcome")

    request_id: str = Field(pattern=f"^{REQUEST_ID}$", description="The `request_id` of the answer that predicted it.")
    instance: int = Field(ge=0, le=MAX_INSTANCE, description="Its place in that request, from 0.")
    outcome: float | bool = Field(description="A number; true is 1 and false 0, and a class is its number, from 0.")
    observed_at: AwareDatetime | None = Field(
        None, description="When it came true, with an offset from UTC; if left out, when this request came."
    )


class FeedbackAnswer(BaseModel):
    """The outcomes are on their way to the log."""

    request_id: str
    accepted: int = Field(description="How many outcomes.")


class Feedback:
    """Takes outcomes, and hands them over to the payload log."""

    def __init__(self, payload_log: PayloadLog, overload: Overload, settings: Settings) -> None:
        self._payload_log = payload_log
        self._overload = overload
        self._settings = settings
        self._patience = Patience(PATIENCE_S)
        # One, for what came true is never urgent.
        self._threads = make_batch_threads("feedback", 1)

    def router(self) -> APIRouter:
        """The route of ``POST /feedback``."""
        router = APIRouter(tags=["predict"])

        @router.post(
            "/feedback",
            summary="Tell outcomes of predictions",
            status_code=202,
            responses={status: {"description": told} for status, told in _REFUSALS.items()},
            openapi_extra={"requestBody": {"required": True, "content": _body_content(self._settings)}},
        )
        async def take_feedback(request: Request) -> FeedbackAnswer:
            return await self._take(request)

        return router

    def close(self) -> None:
        """Read no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _take(self, request: Request) -> FeedbackAnswer:
        if not self._payload_log.is_on:
            raise FeedbackNotKept("Outcomes stand in the payload log, which TREESERVE_PAYLOAD_LOG=off turns off.")
        context = request_context(request.scope)
        limit = self._settings.max_body_bytes
        body = await read_json_body(request.scope, request.receive, limit, self._patience)
        with self._overload.work():
            if len(body) <= _INLINE_BYTES:
                n_accepted = self._accept(body, context)
            else:
                loop = asyncio.get_running_loop()
                n_accepted = await loop.run_in_executor(self._threads, self._accept, body, context)
        return FeedbackAnswer(request_id=context.request_id, accepted=n_accepted)

    def _accept(self, body: bytes, context: RequestContext) -> int:
        outcomes = read_outcomes(body, self._settings.max_instances)
        lines = feedback_lines(outcomes, context.request_id, context.trace_id, context.at_us)
        if not self._payload_log.record([(lines, len(outcomes))], len(outcomes), len(lines), or_refuse=True):
            raise Overloaded("The payload log has no room at present; send it again later.")
        return len(outcomes)


def _body_content(settings: Settings) -> dict[str, Any]:
    outcomes = {
        "type": "array",
        "minItems": 1,
        "maxItems": settings.max_instances,
        "items": OutcomeInfo.model_json_schema(),
        "description": "Of any instances of any requests.",
    }
    schema = {
        "type": "object",
        "required": ["outcomes"],
        "properties": {"outcomes": outcomes},
        "additionalProperties": False,
    }
    return {"application/json": {"schema": schema}}
