"""The GPU's benchmark runs to its end, on what stands in for a GPU."""

from __future__ import annotations

import ctypes

import pytest

from benchmarks.gpu import measure
from tests.unit.forest.test_cuda_forest import driver  # noqa: F401  a fixture

pytestmark = pytest.mark.filterwarnings("ignore:.*couldn't find any available GPU")


def test_it_writes_a_row_for_each_size_of_each_forest(driver: ctypes.CDLL) -> None:  # noqa: F811
    """With times of both, and no difference where both are the processor."""
    *_, few, many = [[cell.strip() for cell in line.split("|")[1:-1]] for line in measure((1, 50), (2,)).splitlines()]
    assert (few[:2], many[:2]) == (["2", "1"], ["2", "50"])
    assert few[-1] == many[-1] == "0.0e+00"
