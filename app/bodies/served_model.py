"""The model that a running service serves, as its ``GET /model`` describes it."""

from __future__ import annotations

import json
from http.client import HTTPException, InvalidURL
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import BodiesUnavailable, ModelNotReady
from app.profile import ReferenceProfile
from app.signature import Signature

_WAIT_S = 10.0  # to connect, and again for each wait for more of the answer
_MAX_BYTES = 64 * 2**20  # of the answer; thousands of features with thousands of categories are less


class InputExample(BaseModel):
    """A body that the service accepts."""

    instances: list[dict[str, Any]] = Field(min_length=1)


class Limits(BaseModel):
    """What the service takes in one request."""

    max_instances: int
    max_body_bytes: int


class ServedModel(BaseModel):
    """What request bodies are made from; all else that the service says is left alone."""

    model_config = ConfigDict(frozen=True)

    signature: Signature
    profile: ReferenceProfile | None
    input_example: InputExample
    limits: Limits


def ask_model(url: str) -> ServedModel:
    """
    Ask a service which model it serves.

    Parameters
    ----------
    url : str
        Where the service is, such as ``http://127.0.0.1:8080``.

    Raises
    ------
    BodiesUnavailable
        If nobody answers there, it is another service, or no model serves yet.
    """
    content = _get(url)
    try:
        return ServedModel.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(map(str, first["loc"]))
        raise BodiesUnavailable(
            f"{url} answers, but not as this version of treeserve does (GET /model, at /{place}: {first['msg']})"
        ) from None


def _get(url: str) -> bytes:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError
        if parts.username is not None:  # which urllib takes for a part of the host's name
            raise BodiesUnavailable("a user name in the URL is not supported")
        with urlopen(f"{url.rstrip('/')}/model", timeout=_WAIT_S) as answer:  # noqa: S310  the scheme is checked
            content: bytes = answer.read(_MAX_BYTES)
            return content
    except HTTPError as refusal:
        raise BodiesUnavailable(_explain_refusal(url, refusal)) from None
    except (ValueError, InvalidURL):
        raise BodiesUnavailable(f"{url!r} is not the URL of a service, such as http://127.0.0.1:8080") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        told = " ".join(str(getattr(reason, "strerror", None) or reason).split())
        raise BodiesUnavailable(f"{url} does not answer ({told}); check that treeserve runs there") from None


def _explain_refusal(url: str, refusal: HTTPError) -> str:
    try:
        problem = json.loads(refusal.read(_MAX_BYTES))
        if problem["code"] == ModelNotReady.code:
            return f"the service at {url} is not ready: {problem['detail']}"
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        pass
    return f"{url} answers GET /model with {refusal.code}; check that treeserve runs there"
