"""Categories have the codes of the fitted rows, and a digest that tells data sets apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.datasets.dataset import Dataset, FeatureColumn, check_dataset, collect_categories, encode_categories
from model.errors import DataInvalid


@pytest.fixture
def dataset() -> Dataset:
    """Two text columns and a number, each with a missing value."""
    return Dataset(
        pd.DataFrame(
            {"dest": ["ORD", "ATL", None, "ORD"], "gate": ["b", None, "c", "ab"], "temp": [1.0, np.nan, 2.0, 3.0]}
        ),
        np.array([0, 1, 1, 0], dtype=np.int8),
        pd.Series(pd.date_range("2013-01-01", periods=4, freq="h", tz="UTC")),
    )


def test_categories_are_sorted_and_without_the_missing(dataset: Dataset) -> None:
    """A category's position is its code, so the order may not depend on the rows'."""
    assert collect_categories(dataset.features) == {"dest": ["ATL", "ORD"], "gate": ["ab", "b", "c"]}


def test_an_unknown_category_becomes_missing(dataset: Dataset) -> None:
    """XGBoost would read it as another one: a destination that opens later has no code."""
    encoded = encode_categories(dataset.features, {"dest": ["AAA", "ORD", "ZZZ"]})
    assert encoded["dest"].cat.codes.tolist() == [1, -1, -1, 1]
    assert encoded["dest"].cat.categories.tolist() == ["AAA", "ORD", "ZZZ"]
    assert encoded["temp"].equals(dataset.features["temp"])
    assert encoded.columns.tolist() == ["dest", "gate", "temp"]


def test_the_digest_is_that_of_the_values(dataset: Dataset) -> None:
    """A copy has the same digest, and it is the same on every machine and in every year."""
    copy = Dataset(dataset.features.copy(), dataset.outcomes.copy(), dataset.moments.dt.tz_convert("Asia/Tokyo"))
    assert copy.digest() == dataset.digest()
    assert dataset.digest() == "7323cf2edd91d16a612da0c1f33c99f60caf6ce12bbb4fb48030b20463f94d45"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: replace(d, features=d.features.rename(columns={"temp": "temper"})),
        lambda d: replace(d, features=d.features.assign(temp=[1.0, 0.0, 2.0, 3.0])),
        lambda d: replace(d, features=d.features.assign(dest=["ORD", "ATL", "", "ORD"])),
        lambda d: replace(d, features=d.features.assign(dest=["ORDA", "TL", None, "ORD"])),
        lambda d: replace(d, outcomes=np.array([1, 1, 1, 0], dtype=np.int8)),
        lambda d: replace(d, moments=d.moments + pd.Timedelta(seconds=1)),
        lambda d: d.select(np.array([True, True, True, False])),
        lambda d: replace(d, features=d.features.iloc[::-1]),
    ],
)
def test_any_change_gives_another_digest(dataset: Dataset, change: Callable[[Dataset], Dataset]) -> None:
    """A name, a value, a missing value, an outcome, a moment, a row or the order."""
    assert change(dataset).digest() != dataset.digest()


def test_outcomes_may_be_numbers(dataset: Dataset) -> None:
    """What comes after the point counts."""
    digests = {replace(dataset, outcomes=np.array([0, half, 1, 0])).digest() for half in (0.25, 0.5, 0.75)}
    assert len(digests) == 3


DECLARED = [
    FeatureColumn("dest", "string", True, ""),
    FeatureColumn("gate", "string", False, ""),
    FeatureColumn("temp", "double", False, ""),
]


def test_instances_are_what_was_declared(dataset: Dataset) -> None:
    """Whole numbers may stand where others do too."""
    check_dataset(dataset, DECLARED)
    check_dataset(replace(dataset, features=dataset.features.assign(temp=[1, 2, 3, 4])), DECLARED)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda d: replace(d, features=d.features[["gate", "dest", "temp"]]),
            "features gate, dest, temp; declared are",
        ),
        (
            lambda d: replace(d, features=d.features.drop(columns="gate")),
            "features dest, temp; declared are dest, gate",
        ),
        (lambda d: replace(d, features=d.features.assign(gate=1)), "'gate': it is declared as a string and made as a"),
        (
            lambda d: replace(d, features=d.features.assign(temp="1")),
            "'temp': it is declared as a double and made as a",
        ),
        (lambda d: replace(d, outcomes=d.outcomes[1:]), "as many outcomes and moments as instances"),
        (lambda d: d.select(np.zeros(4, dtype=bool)), "and some"),
        (lambda d: replace(d, moments=d.moments[::-1]), "in the order of their moments"),
        (lambda d: replace(d, moments=d.moments.dt.tz_localize(None)), "must have a time zone"),
    ],
)
def test_what_a_project_makes_otherwise_is_told(
    dataset: Dataset, change: Callable[[Dataset], Dataset], told: str
) -> None:
    """Before anything is trained, and not by a service that refuses the model."""
    with pytest.raises(DataInvalid, match=f"^the project's instances.*{told}"):
        check_dataset(change(dataset), DECLARED)


def test_a_whole_number_is_not_one_that_may_be_missing(dataset: Dataset) -> None:
    """A long is never missing, and pandas makes numbers with a gap of it where one is."""
    with pytest.raises(DataInvalid, match="'temp': it is declared as a long and made as a double"):
        check_dataset(dataset, [*DECLARED[:2], FeatureColumn("temp", "long", True, "")])
