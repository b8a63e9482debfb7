"""The compiled codec writes predictions as Python does, or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from app.wire import _codec


def make_float32(n: int) -> npt.NDArray[np.float32]:
    """Finite numbers of all sorts, `n` of each: probabilities, sizes, round ones, those beside powers of two."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, n, dtype=np.uint32).view(np.float32)
    sorts = [
        rng.random(n),
        rng.normal(0, 1000, n),
        10 ** rng.uniform(-17, 19, n),
        np.round(rng.random(n), 3),
        rng.integers(-1000, 1000, n),
        rng.integers(0, 1 << 24, n) * 2.0 ** rng.integers(-60, 40, n),
        bits[np.isfinite(bits)],
        np.array([0.0, -0.0, *(10.0**power for power in range(-20, 20))]),
    ]
    powers = np.array([2.0**power for power in range(-100, 100)], dtype=np.float32)
    beside = [np.nextafter(powers, np.float32(side), dtype=np.float32) for side in (0, np.inf)]
    return np.concatenate([*(numbers.astype(np.float32) for numbers in sorts), powers, -powers, *beside])


def assert_texts(values: npt.NDArray[np.float32], write: Callable[[npt.NDArray[np.float32], int], str | None]) -> None:
    """What is written is what Python writes; and ordinary numbers are written."""
    texts = [write(values[i : i + 1], 0) for i in range(len(values))]
    for value, text in zip(values.tolist(), texts, strict=True):
        assert text in (None, repr(value))
        is_power_of_two = math.frexp(value)[0] in (0.5, -0.5)
        assert text is not None or is_power_of_two or not 1e-14 < abs(value) < 1e16


def test_predictions_are_written_as_python_writes_them() -> None:
    """The shortest text that is the same number; all two thousand million positive float32 were tried once."""
    assert_texts(make_float32(20_000), _codec.predictions)
    assert _codec.predictions(np.array([[0.5, 0.1], [2, 1e-7]], dtype=np.float32), 2) == (
        "[0.5,0.10000000149011612],[2.0,1.0000000116860974e-07]"
    )


@pytest.mark.parametrize(("n_values", "n_columns"), [(0, 0), (3, 2), (2, -1)])
def test_predictions_that_are_no_rows_are_refused(n_values: int, n_columns: int) -> None:
    """Rather than read beyond them."""
    with pytest.raises(ValueError, match="no rows of so many float32"):
        _codec.predictions(np.zeros(n_values, dtype=np.float32), n_columns)
