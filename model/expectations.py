"""What is known of a good model without any outcome: how its predictions change as one feature does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


class Answers(Protocol):
    """A model's answers to some rows, and to changed ones."""

    @property
    def features(self) -> list[str]:
        """The names of the columns."""

    @property
    def matrix(self) -> Matrix:
        """The rows, of shape (n_rows, n_features)."""

    @property
    def predictions(self) -> Matrix:
        """The answers to them."""

    def with_column(self, name: str, values: npt.ArrayLike) -> Matrix:
        """The answers where one feature has other values."""


class Expectation(ABC):
    """Something that holds of a good model's predictions for any rows."""

    @abstractmethod
    def test(self, answers: Answers) -> tuple[bool, str]:
        """Whether it holds, and what was seen, in a sentence."""


@dataclass(frozen=True)
class Rises(Expectation):
    """
    With a number, predictions rise: in the mean over all rows, from one value of it to another.

    Attributes
    ----------
    feature : str
    low, high : float
        The values; `low` may be the greater one, where predictions fall.
    code : int or None
        Of which class the probability rises, where there are several.
    """

    feature: str
    low: float
    high: float
    code: int | None = None

    def __str__(self) -> str:
        """Name it."""
        whose = "" if self.code is None else f"class {self.code} "
        return f"{whose}rises with {self.feature}" if self.low < self.high else f"{whose}falls with {self.feature}"

    def test(self, answers: Answers) -> tuple[bool, str]:
        """Compare the mean predictions at both."""
        column = ... if self.code is None else (..., self.code)
        at_low, at_high = (float(answers.with_column(self.feature, at)[column].mean()) for at in (self.low, self.high))
        seen = f"the mean prediction is {at_low:.4g} at {self.feature} {self.low:g}, {at_high:.4g} at {self.high:g}"
        return at_high > at_low, seen


@dataclass(frozen=True)
class Steady(Expectation):
    """
    A little more of a number changes little.

    Attributes
    ----------
    feature : str
    by : float
        What is added to it.
    within : float
        By which predictions change at most, in the mean of the absolute changes.
    """

    feature: str
    by: float
    within: float

    def __str__(self) -> str:
        """Name it."""
        return f"steady in {self.feature}"

    def test(self, answers: Answers) -> tuple[bool, str]:
        """Compare the predictions before and after."""
        moved = answers.matrix[:, answers.features.index(self.feature)] + self.by
        change = float(np.abs(answers.with_column(self.feature, moved) - answers.predictions).mean())
        return change <= self.within, f"{self.by:+g} of {self.feature} changes predictions by {change:.4g} in the mean"


@dataclass(frozen=True)
class Within(Expectation):
    """
    Predictions are where such predictions are.

    Attributes
    ----------
    low, high : float
        Of each prediction; of a class's probability, where there are several.
    """

    low: float
    high: float

    def __str__(self) -> str:
        """Name it."""
        return "predictions in their range"

    def test(self, answers: Answers) -> tuple[bool, str]:
        """Look at the least and the greatest."""
        least, greatest = float(answers.predictions.min()), float(answers.predictions.max())
        holds = bool(np.isfinite(answers.predictions).all()) and self.low <= least and greatest <= self.high
        return (
            holds,
            f"predictions are from {least:.4g} to {greatest:.4g}; they may be from {self.low:g} to {self.high:g}",
        )
