"""Who answers whom: a share of the callers' keys, the same everywhere, whatever the payload log samples."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry

from app.errors import ModelUnfit, PredictionNotFinite
from app.metrics import Metrics
from app.model_version import ModelVersion
from app.payload_log import PayloadLog
from app.predictor import Predictor
from app.shadow.roles import Cast
from app.signature import Signature

KEYS = [f"customer-{number}" for number in range(4000)]


def canaries(champion: Predictor, challenger: Predictor | None, share: float) -> set[str]:
    """The keys that the challenger answers."""
    cast = Cast(champion, challenger, share)
    return {key for key in KEYS if cast.choose(key).predictor is challenger}


@pytest.fixture(scope="module")
def challenger(predictor: Predictor, version: ModelVersion) -> Predictor:
    """The same model under another number."""
    return replace(predictor, version=replace(version, version="8"))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 0.9, 1.0])
def test_a_share_of_the_keys_goes_to_the_challenger(predictor: Predictor, challenger: Predictor, share: float) -> None:
    """None of them at 0, all at 1, whatever the keys look like."""
    found = len(canaries(predictor, challenger, share))
    assert found == pytest.approx(4000 * share, abs=0 if share in (0, 1) else 100)


def test_a_larger_share_only_adds_keys(predictor: Predictor, challenger: Predictor) -> None:
    """Whoever has been answered by the challenger goes on being so while it is given more."""
    growing = [canaries(predictor, challenger, share) for share in (0.01, 0.1, 0.5, 0.51, 1.0)]
    assert all(smaller < larger for smaller, larger in pairwise(growing))


def test_a_key_goes_the_same_way_in_every_process_and_version(predictor: Predictor, challenger: Predictor) -> None:
    """These have been chosen once; another choice would move callers to and fro while replicas are replaced."""
    chosen = [key for key in KEYS[:40] if key in canaries(predictor, challenger, 0.2)]
    assert chosen == [
        "customer-3",
        "customer-12",
        "customer-13",
        "customer-18",
        "customer-19",
        "customer-21",
        "customer-25",
        "customer-27",
        "customer-32",
        "customer-33",
        "customer-38",
        "customer-39",
    ]


@pytest.mark.parametrize("rate", [0.05, 0.25])
def test_canaries_are_recorded_as_often_as_others(predictor: Predictor, challenger: Predictor, rate: float) -> None:
    """Both are chosen by the request's id where there is no key, and still independently of each other."""
    payload_log = PayloadLog(_Sink(), Metrics(CollectorRegistry()), rate)
    cast = Cast(predictor, challenger, rate)
    ids = [f"{number:032x}" for number in range(40_000)]
    both = sum(payload_log.wants(id_) and cast.choose(id_) is cast.canary for id_ in ids)
    assert both == pytest.approx(40_000 * rate * rate, rel=0.25)


class _Sink:
    def write(self, lines: bytes, /) -> None:
        """Nothing."""


def test_without_a_challenger_the_champion_answers_all(predictor: Predictor) -> None:
    """Whatever share is set."""
    cast = Cast(predictor, None, 1.0)
    assert cast.canary is None
    assert cast.choose("x") is cast.usual
    assert (cast.usual.predictor, cast.usual.other) == (predictor, None)


def test_roles_say_who_is_counted_and_what_stands_in_the_log(predictor: Predictor, challenger: Predictor) -> None:
    """The one that answers under its role, and before the other prediction the other's role and version."""
    cast = Cast(predictor, challenger, 1.0)
    assert cast.canary is not None
    assert (cast.usual.counted_as, cast.canary.counted_as) == (("champion", "7"), ("challenger", "8"))
    told = [json.loads(f"{{{roles.lines.format.before_other} 0.5}}") for roles in (cast.usual, cast.canary)]
    assert told == [
        {"treeserve.challenger.version": "8", "treeserve.challenger.prediction": 0.5},
        {"treeserve.champion.version": "7", "treeserve.champion.prediction": 0.5},
    ]


def test_versions_read_alike_with_the_same_features_and_policy(predictor: Predictor, challenger: Predictor) -> None:
    """Only then is the matrix of one the matrix of the other."""
    fewer = replace(challenger, signature=Signature(predictor.signature.features[:-1]))
    assert predictor.card is not None
    lenient = replace(challenger, card=predictor.card.model_copy(update={"unknown_category": "missing"}))
    alike = [Cast(predictor, other).usual.reads_alike for other in (challenger, fewer, lenient)]
    assert alike == [True, False, False]
    assert Cast(predictor, lenient, policy="reject").usual.reads_alike


def test_failures_are_told_once_without_a_trace_where_they_are_expected(
    predictor: Predictor, challenger: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    """A challenger that fails with every request does not fill the log."""
    for error in (PredictionNotFinite("no number"), ModelUnfit("broken")):
        roles = Cast(predictor, challenger).usual
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                roles.tell("it fails", error)
    first, second = caplog.records
    assert first.getMessage() == "it fails: no number; more of these are only counted"
    assert (first.exc_info, second.getMessage()) == (None, "it fails; more of these are only counted")
    assert second.exc_info


def test_a_challenger_that_was_promoted_has_nothing_to_be_compared_with(predictor: Predictor) -> None:
    """The alias may still name it; to predict all twice would tell nothing."""
    same = replace(predictor, version=replace(predictor.version, alias="challenger"))
    cast = Cast(predictor, same, 1.0)
    assert (cast.usual.other, cast.canary, cast.challenger) == (None, None, same)
