"""A model version may take another's place if it refuses nothing that the other accepts."""

from __future__ import annotations

import pytest

from app.compatibility import Interface, Scale, find_contradictions
from app.signature import Feature, FeatureType, Signature

CATEGORY, INTEGER, LONG, NUMBER, BOOLEAN = (
    FeatureType.CATEGORY,
    FeatureType.INTEGER,
    FeatureType.LONG,
    FeatureType.NUMBER,
    FeatureType.BOOLEAN,
)
OLD = Signature((Feature("a", INTEGER, required=True), Feature("c", CATEGORY, categories=("x", "y"))))
A, C = OLD.features


def of(features: tuple[Feature, ...], scale: Scale = Scale.PROBABILITY, n_outputs: int = 1) -> Interface:
    """What callers know of a model with these features."""
    return Interface(Signature(features), scale, n_outputs)


def of_classes(*classes: str, n_outputs: int = 3) -> Interface:
    """What callers know of a model that tells several classes apart, with their names or without."""
    return Interface(OLD, Scale.PROBABILITY, n_outputs, classes or None)


@pytest.mark.parametrize(
    "features",
    [
        (A, C),
        (C, A),
        (A, C, Feature("n", NUMBER)),
        (Feature("a", LONG, required=False), C),
        (Feature("a", NUMBER, required=True), C),
        (A, Feature("c", CATEGORY, categories=("z", "y", "x"))),
    ],
    ids=["same", "order", "one more", "optional and wider", "number", "more categories"],
)
def test_what_accepts_all_may_stand_in(features: tuple[Feature, ...]) -> None:
    """Order, codes and width are the model's own affair."""
    assert find_contradictions(of(OLD.features), of(features)) == []


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ((A,), "'c' is gone"),
        ((A, C, Feature("n", NUMBER, required=True)), "'n' is new and required"),
        ((A, Feature("c", CATEGORY, required=True, categories=("x", "y"))), "'c' is required now"),
        ((Feature("a", BOOLEAN, required=True), C), "'a' changes from integer to boolean"),
        ((A, Feature("c", CATEGORY, categories=("x", "z"))), "'c' has no category 'y' any more"),
        ((A, Feature("c", NUMBER)), "'c' changes from category to number"),
        ((A, Feature("c", CATEGORY, categories=(1, 2))), "'c' has no category 'x' any more"),
    ],
)
def test_what_would_refuse_something_is_named(features: tuple[Feature, ...], reason: str) -> None:
    """A narrower type, a lost name, a new duty."""
    assert find_contradictions(of(OLD.features), of(features)) == [reason]


def test_what_is_answered_must_mean_the_same() -> None:
    """A probability is no number of minutes, and one number is not three."""
    assert find_contradictions(of(OLD.features), of(OLD.features, Scale.VALUE, 3)) == [
        "a prediction changes from a probability to a value",
        "an instance has 3 predictions instead of 1",
    ]


def test_probabilities_stay_those_of_the_same_classes() -> None:
    """In another order they would be read as others without a sound; where nobody names them, nothing is known."""
    old = of_classes("fog", "rain", "sun")
    assert find_contradictions(old, old) == []
    assert find_contradictions(old, of_classes("rain", "fog", "sun")) == [
        "the probability of 'fog' changes to one of 'rain'",
        "the probability of 'rain' changes to one of 'fog'",
    ]
    assert find_contradictions(old, of_classes()) == find_contradictions(of_classes(), old) == []
    assert find_contradictions(old, of_classes("fog", "sun", n_outputs=2)) == [
        "an instance has 2 predictions instead of 3"
    ]
