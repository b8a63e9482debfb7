"""Errors carry what a caller needs, and each family is answered with one status."""

from __future__ import annotations

import inspect
from http import HTTPStatus

import pytest

from app import errors
from app.errors import (
    BodyTooLarge,
    Fault,
    FaultCode,
    InvalidRequest,
    MalformedBody,
    ModelError,
    ModelNotReady,
    PredictionNotFinite,
    ServingError,
    TooManyInstances,
    UnsupportedMedia,
)

SERVING_ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ServingError)]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (InvalidRequest, 422),
        (MalformedBody, 400),
        (BodyTooLarge, 413),
        (TooManyInstances, 413),
        (UnsupportedMedia, 415),
        (ModelNotReady, 503),
        (PredictionNotFinite, 500),
        (ServingError, 500),
    ],
)
def test_a_failure_has_its_own_status(kind: type[ServingError], status: int) -> None:
    """Callers and load balancers decide by the status what to do next."""
    assert kind("x").status == HTTPStatus(status)


def test_no_two_failures_share_a_code() -> None:
    """A code names one failure, so that a client can tell them apart."""
    codes = [kind.code for kind in SERVING_ERRORS]
    assert len(set(codes)) == len(codes) == len({kind.title for kind in SERVING_ERRORS}) > 1


def test_the_tree_in_the_first_lines_is_the_tree_of_the_classes() -> None:
    """The overview at the top of the file names every error of it, and no other."""
    drawn = set((errors.__doc__ or "").replace("└──", " ").replace("├──", " ").split())
    in_code = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
    assert in_code <= drawn
    assert {word for word in drawn if word.endswith(("Error", "Ready", "Unfit", "Finite", "Found"))} <= in_code


def test_an_error_counts_its_faults_unless_it_is_told_how_many_there_were() -> None:
    """A body with a million faults lists a thousand and counts them all."""
    fault = Fault("/instances/0", FaultCode.NOT_AN_OBJECT, "no")
    assert InvalidRequest("x", [fault, fault]).n_faults == 2
    assert InvalidRequest("x", [fault], 1_000_000).n_faults == 1_000_000
    assert (ModelNotReady("x").faults, ModelNotReady("x").n_faults) == ((), 0)


def test_a_failing_model_version_is_never_an_answer_to_a_caller() -> None:
    """The two trees are apart: what is wrong with a model has no HTTP status."""
    assert not issubclass(ModelError, ServingError)
    assert not hasattr(ModelError, "status")
