"""
What can go wrong, and the HTTP status each failure is answered with.

ServingError                500
├── InvalidRequest          422  the caller can mend it; `faults` says where
│   ├── MalformedBody       400  not JSON at all
│   ├── HeadRefused         400  may be read in two ways
│   │   ├── TransferCodingUnknown 501
│   │   └── HttpVersionUnknown    505
│   ├── BodyTooSlow         408
│   ├── BodyTooLarge        413
│   ├── TooManyInstances    413
│   ├── TooManyOutcomes     413
│   └── UnsupportedMedia    415
├── NotAuthenticated        401  what only operators may ask, without their token
├── NotAnOperator           403  what only operators may ask
├── FeedbackNotKept         404  the payload log is off
├── ModelNotReady           503  retry later
├── ServiceEnding           503  retry, which reaches another process
├── Overloaded              503  retry later; the fewer do, the sooner it helps
└── PredictionNotFinite     500  the model answered NaN or infinity
ModelError                       a model version that cannot be served; never reaches a caller
├── ModelUriInvalid              the setting does not name a model version
├── ModelNotFound                the registry has no such model, version or alias
├── RegistryUnreachable          nobody answered
├── CacheUnwritable              its files could not be kept on this machine
├── ModelUnfit                   found, but it must not serve
└── SignatureChanged             fit, but callers of the one that serves would have to change
BodiesUnavailable                no bodies can be made up for a running service; `treeserve bodies` says why
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar


class FaultCode(StrEnum):
    """Stable names of what can be wrong in a body; part of the API, listed in ``docs/api.md``."""

    NOT_JSON = "not_json"
    NOT_UTF8 = "not_utf8"
    TOO_DEEP = "too_deep"
    REPEATED_NAME = "repeated_name"
    NOT_AN_OBJECT = "not_an_object"
    NOT_AN_ARRAY = "not_an_array"
    MISSING_MEMBER = "missing_member"
    UNKNOWN_MEMBER = "unknown_member"
    UNKNOWN_PARAMETER = "unknown_parameter"
    NO_INSTANCES = "no_instances"
    NO_OUTCOMES = "no_outcomes"
    TOO_MANY_INSTANCES = "too_many_instances"
    TOO_MANY_OUTCOMES = "too_many_outcomes"
    MISSING_FEATURE = "missing_feature"
    UNKNOWN_FEATURE = "unknown_feature"
    NOT_A_NUMBER = "not_a_number"
    NOT_AN_INTEGER = "not_an_integer"
    NOT_A_BOOLEAN = "not_a_boolean"
    NOT_A_CATEGORY = "not_a_category"
    UNKNOWN_CATEGORY = "unknown_category"
    NOT_AN_ID = "not_an_id"
    NOT_A_TIME = "not_a_time"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One thing that is wrong in a request, and where.

    Attributes
    ----------
    pointer : str
        JSON pointer (RFC 6901) into the request body; "" is the whole body.
    code : FaultCode
    detail : str
        What is wrong and what would be right, for a person.
    """

    pointer: str
    code: FaultCode
    detail: str


class ServingError(Exception):
    """Base of every failure that a caller sees; `code` is part of the API, `retry_after_s` the header of that name."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "The service failed"
    retry_after_s: ClassVar[int] = 0

    def __init__(self, detail: str, faults: Sequence[Fault] = (), n_faults: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.n_faults = len(self.faults) if n_faults is None else n_faults


class InvalidRequest(ServingError):
    """The caller sent something that cannot be used."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_request"
    title = "The request is not valid"


class MalformedBody(InvalidRequest):
    """The body is not the JSON text that RFC 8259 describes."""

    status = HTTPStatus.BAD_REQUEST
    code = "malformed_body"
    title = "The body is not JSON"


class HeadRefused(InvalidRequest):
    """The request's line and headers may be read in two ways, or do not say what HTTP wants said."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_head"
    title = "The request's headers are not valid"


class TransferCodingUnknown(HeadRefused):
    """The body comes in a transfer coding other than chunked."""

    status = HTTPStatus.NOT_IMPLEMENTED
    code = "unknown_transfer_coding"
    title = "The transfer coding is not known"


class HttpVersionUnknown(HeadRefused):
    """The request is in a version of HTTP that is not spoken here."""

    status = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
    code = "unknown_http_version"
    title = "The HTTP version is not known"


class BodyTooSlow(InvalidRequest):
    """The body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "body_too_slow"
    title = "The body did not arrive in time"


class BodyTooLarge(InvalidRequest):
    """The body has more bytes than `TREESERVE_MAX_BODY_BYTES`."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "body_too_large"
    title = "The body is too large"


class TooManyInstances(InvalidRequest):
    """The body has more instances than `TREESERVE_MAX_INSTANCES`."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_many_instances"
    title = "The request has too many instances"


class TooManyOutcomes(InvalidRequest):
    """More outcomes in one request than it may have instances."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_many_outcomes"
    title = "The request has too many outcomes"


class UnsupportedMedia(InvalidRequest):
    """The body is declared to be something other than JSON in UTF-8."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"
    title = "The content type is not supported"


class NotAuthenticated(ServingError):
    """The caller has not shown who it is, or not truly."""

    status = HTTPStatus.UNAUTHORIZED
    code = "not_authenticated"
    title = "This wants a token"


class NotAnOperator(ServingError):
    """The caller asks for what only operators may."""

    status = HTTPStatus.FORBIDDEN
    code = "not_an_operator"
    title = "This is for operators"


class FeedbackNotKept(ServingError):
    """There is no log to keep outcomes in."""

    status = HTTPStatus.NOT_FOUND
    code = "feedback_not_kept"
    title = "Feedback is not kept"


class ModelNotReady(ServingError):
    """No verified model version serves yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "not_ready"
    title = "No model is ready"
    retry_after_s = 5


class ServiceEnding(ServingError):
    """The process has been told to end: it is not ready, or cannot wait for this request any longer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ending"
    title = "The service is ending"
    retry_after_s = 5


class Overloaded(ServingError):
    """More requests wait for their answers than `TREESERVE_MAX_IN_FLIGHT`."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "overloaded"
    title = "The service is overloaded"
    retry_after_s = 1


class PredictionNotFinite(ServingError):
    """The model answered NaN or infinity, which JSON cannot carry."""

    code = "prediction_not_finite"
    title = "The model's answer is not a number"


class ModelError(Exception):
    """Base of why a model version does not serve; the text says what to do next."""


class ModelUriInvalid(ModelError):
    """The URI does not name a model version."""


class ModelNotFound(ModelError):
    """The registry answers, and has no such model, version or alias."""


class RegistryUnreachable(ModelError):
    """The registry or the artifact store does not answer, or answers garbage."""


class CacheUnwritable(ModelError):
    """The model version's files could not be kept in the cache folder: its disk is full, or it may not be written."""


class ModelUnfit(ModelError):
    """The model version was found and must not serve: pickled, corrupt or contradictory."""


class SignatureChanged(ModelError):
    """Callers of the model version that it shall replace would have to change."""


def model_errors() -> list[type[ModelError]]:
    """Every kind of it, by whose names they are told and counted."""
    return [ModelError, *ModelError.__subclasses__()]


class BodiesUnavailable(Exception):
    """No bodies can be made up for a running service; the text says why, and what to do next."""
