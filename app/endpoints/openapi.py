"""
``GET /openapi.json``: the API with the features of the model that serves.

The pydantic model of an instance is generated from the signature. It documents; bodies are
read by the wire codec, and a test holds the two together.
"""

from __future__ import annotations

import json
import threading
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, create_model
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from app import __version__
from app.errors import (
    BodyTooLarge,
    BodyTooSlow,
    InvalidRequest,
    MalformedBody,
    ModelNotReady,
    ServingError,
    UnsupportedMedia,
)
from app.predictor import Predictor
from app.rollout import Rollout
from app.settings import Settings
from app.signature import Feature, FeatureType, Signature
from app.wire.features import FLOAT32_MAX, INTEGER_BITS

_REF = "#/components/schemas/{model}"
_REFUSALS: tuple[type[ServingError], ...] = (
    MalformedBody, BodyTooSlow, BodyTooLarge, UnsupportedMedia, InvalidRequest, ServingError, ModelNotReady,
)  # fmt: skip
# That a caller may send, beside HTTP's own.
_HEADERS = {
    "X-Request-ID": "The request's id in its answer and in the log: 1 to 128 printable ASCII characters. "
    "Without one it is given one.",
    "X-Caller-Key": "Who asks, where a share of callers is answered by the challenger: the same key is always answered "
    "by the same role. Without one, the request's id decides.",
    "traceparent": "W3C Trace Context; the trace id stands in the log.",
}


class FaultInfo(BaseModel):
    """Something about the request, and where."""

    pointer: str = Field(description="JSON pointer into the request body.")
    code: str
    detail: str


class AnsweringModel(BaseModel):
    """The model version that answered."""

    name: str
    version: str


class PredictAnswer(BaseModel):
    """One prediction an instance, in their order."""

    request_id: str
    model: AnsweringModel
    predictions: list[float] | list[list[float]]
    warnings: list[FaultInfo] | None = Field(None, description="Unknown categories that were predicted as missing.")


class Problem(BaseModel):
    """RFC 9457, with every fault of the request."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    n_faults: int | None = None
    faults: list[FaultInfo] | None = None


def instance_model(signature: Signature, *, unknown_is_missing: bool) -> type[BaseModel]:
    """
    Generate the pydantic model of an instance.

    Fields have names of our own and the feature's name as alias, because a feature may be
    called anything, `class` or `model_config` too.
    """
    fields: dict[str, Any] = {
        f"feature_{column}": (
            Annotated[_type_of(feature, unknown_is_missing) | None, Field(alias=feature.name, title=feature.name)],
            ... if feature.required else None,
        )
        for column, feature in enumerate(signature.features)
    }
    return create_model(
        "Instance",
        __config__=ConfigDict(extra="forbid", strict=True, protected_namespaces=()),
        __doc__="One row: features by name; null is a missing value.",
        **fields,
    )


def _type_of(feature: Feature, unknown_is_missing: bool) -> Any:
    if feature.type is FeatureType.CATEGORY:
        categories = feature.categories or ()
        kind: Any = type(categories[0])
        values = Annotated[kind, Field(json_schema_extra={"examples": list(categories)})]
        type_ = values if unknown_is_missing else Literal[categories]
        return type_ if kind is str else Annotated[type_, BeforeValidator(_to_integer)]
    if feature.type is FeatureType.BOOLEAN:
        return StrictBool
    if feature.type is FeatureType.NUMBER:
        return Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX)]
    bits = INTEGER_BITS[feature.type]
    return Annotated[int, Field(ge=-(1 << bits), le=(1 << bits) - 1), BeforeValidator(_to_integer)]


def _to_integer(value: object) -> object:
    """JSON makes no difference between 3 and 3.0, where pydantic does; and it takes true for the category 1."""
    if isinstance(value, bool):
        raise ValueError("must be an integer, not a boolean")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def predict_body_model(predictor: Predictor, settings: Settings) -> type[BaseModel]:
    """The pydantic model of a body of ``POST /predict``, with an example that works when pasted."""
    unknown_is_missing = predictor.unknown_is_missing(settings.unknown_category)
    instance = instance_model(predictor.signature, unknown_is_missing=unknown_is_missing)
    return create_model(
        "PredictBody",
        __config__=ConfigDict(
            extra="forbid", strict=True, json_schema_extra={"examples": [{"instances": [dict(predictor.example)]}]}
        ),
        instances=(list[instance], Field(min_length=1, max_length=settings.max_instances)),  # type: ignore[valid-type]
        parameters=(_NoParameters | None, None),
    )


class _NoParameters(BaseModel):
    """There are none yet."""

    model_config = ConfigDict(extra="forbid", title="Parameters")


def add_openapi(app: FastAPI, rollout: Rollout, settings: Settings) -> None:
    """Serve ``/openapi.json`` of the model that serves; built once a model version."""
    building = threading.Lock()
    built: tuple[Predictor | None, bytes] | None = None

    # In a thread, for it takes a second where a model has thousands of features.
    @app.get("/openapi.json", include_in_schema=False)
    def get_document() -> Response:
        nonlocal built
        with building:
            predictor = rollout.predictor
            if built is None or built[0] is not predictor:
                built = (predictor, json.dumps(_build(app, predictor, settings)).encode())
            document = built[1]
        return Response(document, media_type="application/json")


def _build(app: FastAPI, predictor: Predictor | None, settings: Settings) -> dict[str, Any]:
    document = get_openapi(title="treeserve", version=__version__, description=_describe(predictor), routes=app.routes)
    if predictor is None:
        return document
    body = predict_body_model(predictor, settings)
    by_model, definitions = models_json_schema(
        [(body, "validation"), (PredictAnswer, "serialization"), (Problem, "serialization")], ref_template=_REF
    )
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
    problem = {"application/problem+json": {"schema": by_model[Problem, "serialization"]}}
    predict = {
        "post": {
            "tags": ["predict"],
            "summary": "Predict instances",
            "operationId": "predict",
            "parameters": [
                {"in": "header", "name": name, "description": told, "schema": {"type": "string"}}
                for name, told in _HEADERS.items()
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": by_model[body, "validation"],
                        "example": {"instances": [dict(predictor.example)]},
                    }
                },
            },
            "responses": {
                "200": {
                    "description": "One prediction an instance.",
                    "content": {"application/json": {"schema": by_model[PredictAnswer, "serialization"]}},
                },
                **{
                    str(int(refusal.status)): {"description": f"{refusal.title}.", "content": problem}
                    for refusal in _REFUSALS
                },
            },
        }
    }
    # First, because it is what the service is for; pages show paths in this order.
    document["paths"] = {"/predict": predict, **document["paths"]}
    return document


def _describe(predictor: Predictor | None) -> str:
    if predictor is None:
        return "No model version serves yet."
    card = predictor.card
    return f"Serves **{predictor.version}**." + (f" A prediction is {card.prediction}." if card else "")
