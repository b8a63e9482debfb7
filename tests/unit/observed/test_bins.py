"""Rows are counted in the bins of the reference profile: as training counted them, and what it has never seen apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.observed import _counting
from app.observed import counts as module
from app.observed.bins import (
    MISSING,
    OTHER,
    UNSEEN,
    ColumnBins,
    FloatMatrix,
    bins_of_features,
    bins_of_prediction,
)
from app.observed.counts import BinCounts
from app.profile import CategoryProfile, NumberProfile, ReferenceProfile
from app.signature import Feature, FeatureType, Signature
from app.wire.decoder import InstancesDecoder
from app.wire.exchange import UNKNOWN_BITS
from model.observed.drift import population_stability_index

SIGNATURE = Signature(
    (
        Feature("ignored", FeatureType.NUMBER),
        Feature("carrier", FeatureType.CATEGORY, categories=("AA", "DL", "UA")),
        Feature("temp", FeatureType.NUMBER),
    )
)


def reference_of(temperatures: Sequence[float], codes: Sequence[int]) -> ReferenceProfile:
    """What training has counted."""
    return ReferenceProfile(
        features=[NumberProfile.of("temp", temperatures), CategoryProfile.of("carrier", codes, ["AA", "DL", "UA"])],
        prediction=NumberProfile.of("prediction", np.linspace(0, 1, 100)),
        n_rows=len(temperatures),
    )


def count(columns: Sequence[ColumnBins], matrix: FloatMatrix) -> list[dict[str, int]]:
    """By column and bin, the same by the compiled counter and by numpy, of one matrix and of its rows."""
    whole, rows, by_numpy = BinCounts(columns), BinCounts(columns), BinCounts(columns)
    whole.count([matrix])
    rows.count([matrix[at : at + 1] for at in range(len(matrix))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_counting", None)
        by_numpy.count([matrix])
    for other in (rows, by_numpy):
        for one, two in zip(whole.take(), other.take(), strict=True):
            np.testing.assert_array_equal(one, two)
    return [
        dict(zip(column.labels, counts.tolist(), strict=True))
        for column, counts in zip(columns, whole.take(), strict=True)
    ]


NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
GREATEST = float(np.finfo(np.float32).max)


@example([GREATEST, -GREATEST, GREATEST], [0] * 50)
@given(
    st.lists(NUMBERS | st.just(float("nan")), min_size=1, max_size=50),
    st.lists(st.integers(-1, 2), min_size=50, max_size=50),
)
def test_training_rows_fall_where_training_has_counted_them(numbers: list[float], codes: list[int]) -> None:
    """And so drift against themselves is none."""
    profile = reference_of(numbers, codes[: len(numbers)])
    columns = bins_of_features(profile, SIGNATURE)
    as_codes = [float("nan") if code < 0 else code for code in codes[: len(numbers)]]
    matrix = np.array([[0.0] * len(numbers), as_codes, numbers], dtype=np.float32).T.copy()
    for column, counted in zip(columns, count(columns, matrix), strict=True):
        assert list(counted.values()) == [round(share * len(numbers)) for share in column.shares]
        assert sum(column.shares) == pytest.approx(1)
        observed = [n / len(numbers) for n in counted.values()]
        assert population_stability_index(column.shares, observed) == pytest.approx(0, abs=1e-9)


def test_what_training_has_never_seen_has_bins_of_its_own() -> None:
    """Below and above all that was there, an unknown category, and a missing value."""
    columns = bins_of_features(reference_of([0.1, 0.2, 0.7, 0.9], [0, 1, 1, 1]), SIGNATURE)
    rows = np.full((6, 3), np.nan, dtype=np.float32)
    rows[:, 2] = [0.1, 0.09, 0.9, 0.91, np.nan, 0.7]
    rows[:2, 1] = [1, 2]
    rows.view(np.uint32)[2, 1] = UNKNOWN_BITS
    temp, carrier = count(columns, rows)
    assert temp == {
        "00 < 0.1": 1,
        "01 [0.1, 0.2)": 1,
        "02 [0.2, 0.7)": 0,
        "03 [0.7, 0.9)": 1,
        "04 [0.9, 0.9]": 1,
        "05 > 0.9": 1,
        MISSING: 1,
    }
    assert carrier == {"AA": 0, "DL": 1, "UA": 1, UNSEEN: 1, MISSING: 3}


@pytest.mark.parametrize(
    "body", ['{"instances": [{"carrier": "B6", "temp": 1}]}', '{"instances": [{"carrier": "\\u0042"}]}']
)
def test_an_unknown_category_is_told_from_a_missing_one(body: str) -> None:
    """By whichever way the body was read; to the forest both are missing."""
    decoded = InstancesDecoder(SIGNATURE).decode(body.encode(), max_instances=1, unknown_is_missing=True)
    assert np.isnan(decoded.matrix[0, :2]).all()
    assert (decoded.matrix.view(np.uint32)[0, :2] == UNKNOWN_BITS).tolist() == [False, True]
    [carrier] = [column for column in bins_of_features(reference_of([1], [0]), SIGNATURE) if column.name == "carrier"]
    assert count([carrier], decoded.matrix)[0][UNSEEN] == 1


def test_rare_categories_share_a_bin() -> None:
    """There is a series of Prometheus's for each bin."""
    names = [f"c{i}" for i in range(200)]
    signature = Signature((Feature("tail", FeatureType.CATEGORY, categories=tuple(names)),))
    codes = [code for code in range(200) for _ in range(1 + (code % 4 == 0))]
    profile = ReferenceProfile(
        features=[CategoryProfile.of("tail", codes, names)], prediction=NumberProfile.of("p", [0.5]), n_rows=len(codes)
    )
    [column] = bins_of_features(profile, signature)
    assert column.labels == (*(f"c{i}" for i in range(0, 200, 4)), OTHER, UNSEEN, MISSING)
    [counted] = count([column], np.arange(200, dtype=np.float32).reshape(-1, 1))
    assert counted == dict.fromkeys((f"c{i}" for i in range(0, 200, 4)), 1) | {OTHER: 150, UNSEEN: 0, MISSING: 0}
    assert sum(column.shares) == pytest.approx(1)


def test_a_feature_that_the_model_has_not_is_not_counted() -> None:
    """Nor one whose categories are others: the profile is another model's then."""
    profile = reference_of([1.0], [0])
    assert bins_of_features(profile, Signature((Feature("other", FeatureType.NUMBER),))) == []
    others = Signature((Feature("carrier", FeatureType.CATEGORY, categories=("UA", "DL", "AA")),))
    assert bins_of_features(profile, others) == []
    nothing = BinCounts([])
    nothing.count([np.zeros((1, 3), np.float32)])
    assert nothing.take() == []


def test_predictions_are_a_column_by_themselves() -> None:
    """As the forest gives them."""
    column = bins_of_prediction(reference_of([1.0], [0]))
    predictions = np.linspace(0, 1, 100, dtype=np.float32)
    counts = BinCounts([column])
    counts.count([predictions])
    assert counts.take()[0].tolist() == [round(100 * share) for share in column.shares]


def test_many_rows_are_counted_as_few() -> None:
    """By another way, which keeps nobody waiting."""
    columns = bins_of_features(reference_of(list(range(100)), [0] * 100), SIGNATURE)
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=9000), rng.integers(0, 3, 9000), rng.normal(50, 40, 9000)]).astype(
        np.float32
    )
    many, few = BinCounts(columns), BinCounts(columns)
    many.count([matrix])
    for at in range(0, 9000, 500):
        few.count([matrix[at : at + 500]])
    for one, two in zip(many.take(), few.take(), strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.sum() == 9000


@pytest.mark.parametrize(("reference", "observed", "expected"), [
    ([0.5, 0.5], [0.5, 0.5], 0.0),
    ([0.5, 0.5], [0.6, 0.4], 0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5)),
    ([1.0, 0.0], [0.0, 1.0], 2 * (1 - 1e-4) * np.log(1e4)),
])  # fmt: skip
def test_the_distance_is_the_population_stability_index(
    reference: list[float], observed: list[float], expected: float
) -> None:
    """With a least share for empty bins."""
    assert population_stability_index(reference, observed) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("columns", "codes", "n_bins"),
    [
        ([(3, 0, 0, 1, 3)], [], 3),  # there is no such column
        ([(0, 0, 1, 1, 3)], [], 3),  # nor such an edge
        ([(0, 0, 0, 1, 2)], [], 2),  # nor as many bins
        ([(0, 0, 0, 1, 3)], [], 4),
        ([(0, 1, 0, 2, 4)], [0], 4),  # nor such a code
        ([(0, 1, 0, 1, 3)], [1], 3),  # nor its bin
        ([(0, 1, 0, 1, 3)], [-1], 3),
        ([(0, 2, 0, 1, 3)], [0], 3),
    ],
)
def test_the_counter_believes_nothing(columns: list[tuple[int, ...]], codes: list[int], n_bins: int) -> None:
    """It would write elsewhere."""
    layout = (
        np.array(columns, np.uint32).tobytes(),
        np.zeros(1, np.float32).tobytes(),
        np.array(codes, np.int32).tobytes(),
    )
    counts = np.zeros(n_bins, np.int64)
    with pytest.raises(ValueError, match="what is not there"):
        _counting.count(*layout, [np.zeros((1, 3), np.float32)], counts)
    wrong: list[Any] = [np.zeros((1, 3)), np.zeros(3, np.int32)]
    for matrix in wrong:
        with pytest.raises(ValueError, match="rows of float32"):
            _counting.count(*layout, [matrix], counts)
