"""Values are as common as they were in training; whatever was counted there, a feature gets only what it may have."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bodies.served_model import InputExample, Limits, ServedModel
from app.bodies.values import build_draws
from app.profile import CategoryProfile, NumberProfile, ReferenceProfile
from app.signature import Feature, FeatureType, Signature
from app.wire.decoder import InstancesDecoder
from tests.unit.wire.bodies import SIGNATURE

N = 20_000


def served(signature: Signature, example: dict[str, Any], *profiles: NumberProfile | CategoryProfile) -> ServedModel:
    """What a service would say of a model."""
    prediction = NumberProfile.of("prediction", [0.0])
    return ServedModel(
        signature=signature,
        profile=ReferenceProfile(features=list(profiles), prediction=prediction, n_rows=1) if profiles else None,
        input_example=InputExample(instances=[example]),
        limits=Limits(max_instances=10, max_body_bytes=10_000),
    )


def draw(feature: Feature, profile: NumberProfile | CategoryProfile | None = None, example: Any = None) -> list[Any]:
    """Many values of one feature."""
    model = served(Signature((feature,)), {feature.name: example}, *([profile] if profile else []))
    random = Random(1)  # noqa: S311
    return [build_draws(model)[feature.name](random) for _ in range(N)]


def shares(counts: list[int]) -> list[float]:
    return [count / sum(counts) for count in counts]


def test_numbers_fall_into_the_bins_as_often_as_they_did_in_training() -> None:
    """And are missing as often; inside a bin they are spread evenly, with no more digits than tell them apart."""
    rng = np.random.default_rng(0)
    training = np.where(rng.random(5_000) < 0.15, np.nan, rng.gamma(2.0, 5.0, 5_000))
    profile = NumberProfile.of("wind", training)
    found = draw(Feature("wind", FeatureType.NUMBER, required=True), profile)
    assert found.count(None) / N == pytest.approx(profile.n_missing / 5_000, abs=0.01)
    present = [value for value in found if value is not None]
    again = np.histogram(present, [-np.inf, *profile.edges, np.inf])[0].tolist()
    assert shares(again) == pytest.approx(shares(profile.counts), abs=0.01)
    inside = [value for value in present if profile.edges[3] <= value < profile.edges[4]]
    assert np.median(inside) == pytest.approx((profile.edges[3] + profile.edges[4]) / 2, rel=0.03)
    assert np.quantile([len(str(value)) for value in present], 0.99) <= 6


def test_whole_numbers_are_drawn_whole_and_from_the_first_to_the_last() -> None:
    """An edge belongs to the bin above it, as it did when they were counted."""
    training = np.random.default_rng(0).choice(24, 5_000, p=shares(list(range(1, 25))))
    profile = NumberProfile.of("hour", training)
    found = draw(Feature("hour", FeatureType.LONG), profile)
    assert {type(value) for value in found} == {int}
    assert (min(found), max(found)) == (0, 23)
    edges = [-0.5, *(edge - 0.5 for edge in profile.edges), 23.5]
    assert shares(np.histogram(found, edges)[0].tolist()) == pytest.approx(shares(profile.counts), abs=0.01)


def test_booleans_are_true_as_often_as_in_training() -> None:
    found = draw(Feature("is", FeatureType.BOOLEAN), NumberProfile.of("is", [0.0] * 30 + [1.0] * 70))
    assert {type(value) for value in found} == {bool}
    assert sum(found) / N == pytest.approx(0.7, abs=0.02)


def test_categories_are_drawn_as_they_were_counted_and_only_those_that_the_model_knows() -> None:
    """A name that the profile alone knows would be refused."""
    feature = Feature("carrier", FeatureType.CATEGORY, categories=("AA", "DL", "UA"))
    profile = CategoryProfile(name="carrier", categories=["DL", "AA", "ZZ"], counts=[20, 60, 20], n_missing=25)
    found = Counter(draw(feature, profile))
    assert set(found) == {"AA", "DL", None}
    assert found[None] / N == pytest.approx(0.2, abs=0.01)
    assert found["AA"] / found["DL"] == pytest.approx(3, abs=0.2)


def test_a_feature_that_always_was_missing_always_is() -> None:
    assert set(draw(Feature("x", FeatureType.NUMBER), NumberProfile.of("x", [np.nan] * 3), example=5.0)) == {None}


def test_a_constant_stays_one() -> None:
    assert set(draw(Feature("x", FeatureType.NUMBER), NumberProfile.of("x", [0.1] * 3))) == {0.1}


@pytest.mark.parametrize(
    ("kind", "example", "low", "high"),
    [
        (FeatureType.NUMBER, 40.0, 20, 60),
        (FeatureType.NUMBER, -0.02, -0.03, -0.01),
        (FeatureType.NUMBER, None, -1, 1),
        (FeatureType.INTEGER, 17, 9, 25),
        (FeatureType.LONG, 1, 0, 2),
        (FeatureType.BOOLEAN, True, False, True),
        (FeatureType.BOOLEAN, None, False, True),
    ],
)
def test_without_a_profile_values_are_near_the_example(
    kind: FeatureType, example: Any, low: float, high: float
) -> None:
    """From half of it to one and a half of it; a required feature is never missing then."""
    found = draw(Feature("x", kind, required=True), example=example)
    assert (min(found), max(found)) == pytest.approx((low, high), rel=0.01)
    assert min(found) >= low
    assert max(found) <= high


def test_without_a_profile_an_optional_feature_is_missing_now_and_then_and_all_categories_occur() -> None:
    found = Counter(draw(Feature("x", FeatureType.CATEGORY, categories=(10, 20, 30)), example=20))
    assert set(found) == {10, 20, 30, None}
    assert found[None] / N == pytest.approx(0.1, abs=0.01)
    assert found[10] / found[30] == pytest.approx(1, abs=0.1)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(float)
COUNTS = st.integers(0, 5)


@st.composite
def any_profile(draw: st.DrawFn, name: str) -> NumberProfile | CategoryProfile:
    """A profile that is valid as such, and need not fit the feature."""
    if draw(st.booleans()):
        categories = draw(st.lists(st.sampled_from(["AA", "Zürich", "", "x"]), unique=True))
        counts = draw(st.lists(COUNTS, min_size=len(categories), max_size=len(categories)))
        return CategoryProfile(name=name, categories=categories, counts=counts, n_missing=draw(COUNTS))
    edges = sorted(draw(st.lists(NUMBERS, max_size=4, unique=True)))
    return NumberProfile(
        name=name,
        edges=edges,
        counts=draw(st.lists(COUNTS, min_size=len(edges) + 1, max_size=len(edges) + 1)),
        n_missing=draw(COUNTS),
        minimum=draw(st.none() | NUMBERS),
        maximum=draw(st.none() | NUMBERS),
    )


PROFILES = st.tuples(*(st.none() | any_profile(feature.name) for feature in SIGNATURE.features))
EXAMPLES = st.dictionaries(
    st.sampled_from([feature.name for feature in SIGNATURE.features]),
    st.none() | st.booleans() | st.floats(-3e38, 3e38) | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=2),
)
DECODER = InstancesDecoder(SIGNATURE)


@given(PROFILES, EXAMPLES)
def test_whatever_was_counted_the_values_are_accepted(profiles: tuple[Any, ...], example: dict[str, Any]) -> None:
    """Also where profile, example and signature contradict each other, and at the limits of every type."""
    draws = build_draws(served(SIGNATURE, example, *filter(None, profiles)))
    random = Random(0)  # noqa: S311
    body = json.dumps({"instances": [{name: draw(random) for name, draw in draws.items()} for _ in range(5)]})
    DECODER.decode(body.encode(), max_instances=5, unknown_is_missing=False)
