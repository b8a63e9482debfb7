"""How far two versions' predictions are apart, on numbers that were worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.compatibility import Scale
from app.predictor import Predictor
from app.shadow.comparison import Comparison


def numbers(*values: Any) -> Any:
    """As a forest answers."""
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("objective", "one", "other", "expected"),
    [
        ("binary:logistic", [0.25, 0.5], [0.75, 0.5], [0.5, 0]),
        ("multi:softprob", [[0.5, 0.25, 0.25]], [[0.25, 0.25, 0.5]], [0.25]),
        ("multi:softmax", [0, 2, 1], [0, 1, 2], [0, 1, 1]),
        ("binary:hinge", [0, 1], [1, 1], [1, 0]),
        ("reg:squarederror", [100, 0, -1, 0, 3e38], [75, 0, 1, 5, -3e38], [0.25, 0, 2, 1, 2]),
        ("count:poisson", [4], [5], [0.2]),
        ("rank:ndcg", [-4], [-2], [0.5]),
        ("reg:quantileerror", [[1, 2, 4]], [[1, 1, 4]], [0.5]),
    ],
)
def test_a_difference_is_absolute_for_probabilities_and_relative_for_values(
    objective: str, one: list[Any], other: list[Any], expected: list[float]
) -> None:
    """Of several numbers an instance has, the largest; classes are the same or not."""
    differences = Comparison(Scale.of(objective), None).differences(numbers(*one), numbers(*other))
    np.testing.assert_allclose(differences, expected, rtol=1e-6)
    assert differences.shape == (len(one),)


@pytest.mark.parametrize(
    ("scale", "thresholds", "one", "other", "expected"),
    [
        (Scale.PROBABILITY, (0.5, 0.5), [0.5, 0.4, 0.6], [0.9, 0.6, 0.7], [True, False, True]),
        (Scale.PROBABILITY, (0.5, 0.2), [0.4, 0.6], [0.3, 0.3], [False, True]),
        (Scale.PROBABILITY, None, [0.4], [0.6], None),
        (Scale.PROBABILITY, None, [[0.5, 0.3, 0.2], [0.1, 0.9, 0]], [[0.4, 0.3, 0.3], [0.9, 0.1, 0]], [True, False]),
        (Scale.VALUE, (10.0, 10.0), [9, 11], [11, 12], [False, True]),
        (Scale.VALUE, None, [[1, 2]], [[2, 1]], None),
        (Scale.CLASS, None, [0, 1], [0, 2], [True, False]),
        # As JSON has it, 0.7 in single precision is less than 0.7.
        (Scale.PROBABILITY, (0.7, 0.5), [0.7], [0.7], [False]),
    ],
)
def test_a_decision_is_a_threshold_or_the_likeliest_class(
    scale: Scale, thresholds: tuple[float, float] | None, one: list[Any], other: list[Any], expected: list[bool] | None
) -> None:
    """Each version decides by its own threshold; without one, and without classes, there is no decision."""
    agreements = Comparison(scale, thresholds).agreements(numbers(*one), numbers(*other))
    assert (None if agreements is None else agreements.tolist()) == expected


def test_versions_are_compared_when_they_predict_the_same_kind_of_thing(predictor: Predictor) -> None:
    """A probability is no value; and a version without a card has no threshold."""
    comparison = Comparison.of(predictor, predictor)
    assert comparison == Comparison(Scale.PROBABILITY, (0.5, 0.5))
    assert Comparison.of(predictor, replace(predictor, objective="reg:logistic", card=None)) == Comparison(
        Scale.PROBABILITY, None
    )
    assert Comparison.of(predictor, replace(predictor, objective="binary:logitraw")) is None
