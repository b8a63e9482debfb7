"""What is expected of several probabilities an instance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model.expectations import Matrix, Rises


class Answers:
    """Three classes: with warmth the last one takes from the first."""

    features = ["warmth"]  # noqa: RUF012  as an instance has it
    matrix: Matrix = np.zeros((4, 1), dtype=np.float32)
    predictions: Matrix = np.full((4, 3), 1 / 3, dtype=np.float32)

    def with_column(self, name: str, values: npt.ArrayLike) -> Matrix:
        """The answers at another warmth."""
        share = np.full(4, values, dtype=np.float32) / 100
        return np.stack([0.5 - share, np.full(4, 0.2, dtype=np.float32), 0.3 + share], axis=1)


def test_a_class_may_be_expected_to_rise() -> None:
    """All together never do, for they sum to 1."""
    assert Rises("warmth", 0, 20, code=2).test(Answers()) == (
        True,
        "the mean prediction is 0.3 at warmth 0, 0.5 at 20",
    )
    assert not Rises("warmth", 0, 20, code=0).test(Answers())[0]
    assert Rises("warmth", 20, 0, code=0).test(Answers())[0]
    assert str(Rises("warmth", 20, 0, code=0)) == "class 0 falls with warmth"
