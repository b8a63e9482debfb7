"""A reference profile counts every training value once, in bins that the service can count again."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.profile import MAX_PROFILED_FEATURES, N_BINS, CategoryProfile, NumberProfile, ReferenceProfile

NAN = math.nan


def counted(profile: NumberProfile, values: list[float]) -> list[int]:
    """Count by the words of the docstring, not by the code."""
    edges = [-math.inf, *profile.edges, math.inf]
    return [sum(low <= value < high for value in values) for low, high in itertools.pairwise(edges)]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), max_size=60))
def test_every_value_is_counted_in_the_bin_that_the_edges_say(values: list[float]) -> None:
    """Whoever reads the edges from the file and counts the training data again gets the same counts."""
    profile = NumberProfile.of("x", values)
    present = [value for value in values if not math.isnan(value)]
    assert profile.counts == counted(profile, present)
    assert profile.n_missing == len(values) - len(present)
    assert len(profile.counts) <= N_BINS
    assert (profile.minimum, profile.maximum) == ((min(present), max(present)) if present else (None, None))
    assert present == [] or min(profile.counts) > 0


def test_bins_hold_about_equal_counts() -> None:
    """PSI needs bins with observations in all of them."""
    profile = NumberProfile.of("x", np.arange(1000.0))
    assert profile.counts == pytest.approx([100] * N_BINS, abs=1)


def test_a_value_on_an_edge_is_in_the_bin_above() -> None:
    """Both sides must agree where a value exactly on an edge belongs."""
    profile = NumberProfile.of("x", [1.0, 1.0, 2.0, 2.0], n_bins=2)
    assert (profile.edges, profile.counts) == ([2.0], [2, 2])


@pytest.mark.parametrize(
    ("values", "edges", "counts", "n_missing", "extremes"),
    [
        ([], [], [0], 0, (None, None)),
        ([NAN, NAN], [], [0], 2, (None, None)),
        ([5.0] * 7, [], [7], 0, (5.0, 5.0)),
        ([0.0] * 9 + [1.0], [], [10], 0, (0.0, 1.0)),
        ([0.0] * 5 + [1.0] * 5 + [NAN], [1.0], [5, 5], 1, (0.0, 1.0)),
    ],
    ids=["no rows", "all missing", "one value", "nearly one value", "two values"],
)
def test_values_without_spread_have_fewer_bins(
    values: list[float], edges: list[float], counts: list[int], n_missing: int, extremes: tuple[Any, Any]
) -> None:
    """A column that is empty or constant is a profile like any other."""
    profile = NumberProfile.of("x", values)
    assert (profile.edges, profile.counts, profile.n_missing) == (edges, counts, n_missing)
    assert (profile.minimum, profile.maximum) == extremes


def test_categories_are_counted_by_code_and_the_missing_apart() -> None:
    """A category that no row has is counted with zero, so that its first appearance is seen."""
    profile = CategoryProfile.of("carrier", [0, 2, 2, -1], ["AA", "DL", "UA"])
    assert (profile.counts, profile.n_missing) == ([1, 0, 2], 1)


def test_a_column_of_missing_categories_is_all_zeros() -> None:
    """No row at all is no fault."""
    assert CategoryProfile.of("carrier", [-1, -1], ["AA"]).counts == [0]


@pytest.mark.parametrize(
    "change",
    [
        {"edges": [1.0, 2.0]},
        {"counts": [1]},
        {"counts": [1, -1]},
        {"edges": [], "counts": []},
        {"edges": [2.0, 1.0], "counts": [1, 1, 1]},
        {"edges": [1.0, 1.0], "counts": [1, 1, 1]},
        {"edges": [NAN]},
        {"edges": [math.inf]},
        {"n_missing": -1},
        {"minimum": NAN},
    ],
    ids=str,
)
def test_a_profile_that_counts_nothing_sensible_is_refused(change: dict[str, Any]) -> None:
    """A file with counts that fit no edges cannot be compared with anything."""
    right = {"name": "x", "edges": [1.0], "counts": [1, 1], "n_missing": 0, "minimum": 0.0, "maximum": 2.0}
    NumberProfile.model_validate(right)
    with pytest.raises(ValidationError):
        NumberProfile.model_validate(right | change)


@pytest.mark.parametrize("counts", [[1], [1, 2, 3], [1, -1], []], ids=str)
def test_a_category_has_one_count(counts: list[int]) -> None:
    """Fewer or more counts than categories are refused."""
    with pytest.raises(ValidationError):
        CategoryProfile(name="x", categories=["a", "b"], counts=counts, n_missing=0)


def test_profiles_of_both_kinds_are_told_apart_in_the_file() -> None:
    """The `type` in JSON decides what is read."""
    number = NumberProfile.of("x", [1.0, 2.0])
    category = CategoryProfile.of("c", [0], [10])
    profile = ReferenceProfile(features=[category, number], prediction=number, n_rows=2)
    assert ReferenceProfile.model_validate_json(profile.model_dump_json(), strict=True) == profile


def test_at_most_so_many_features_are_profiled() -> None:
    """Each is a handful of time series a pod."""
    number = NumberProfile.of("x", [1.0])
    with pytest.raises(ValidationError, match="at most 100"):
        ReferenceProfile(features=[number] * (MAX_PROFILED_FEATURES + 1), prediction=number, n_rows=1)
