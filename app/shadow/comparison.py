"""How far the predictions of two model versions are apart, and whether they lead to the same decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.compatibility import Scale
from app.forest.kernel_forest import FloatMatrix
from app.predictor import Predictor


@dataclass(frozen=True)
class Comparison:
    """
    A way to compare the predictions of two model versions.

    Attributes
    ----------
    scale : Scale
        Of both.
    thresholds : pair of float, or None
        From which prediction on each version means yes; None where a version does not say.
    """

    scale: Scale
    thresholds: tuple[float, float] | None

    @classmethod
    def of(cls, one: Predictor, other: Predictor) -> Comparison | None:
        """The way to compare two versions; None if what they predict is not the same kind of thing."""
        scale = Scale.of(one.objective)
        if scale is not Scale.of(other.objective):
            return None
        first, second = (None if card is None else card.decision_threshold for card in (one.card, other.card))
        return cls(scale, None if first is None or second is None else (first, second))

    def differences(self, one: FloatMatrix, other: FloatMatrix) -> npt.NDArray[np.float64]:
        """
        How far each prediction is from the other version's; of several numbers, the largest difference.

        Parameters
        ----------
        one, other : numpy.ndarray of float32, shape (n_rows,) or (n_rows, n_columns)
            Finite.

        Returns
        -------
        numpy.ndarray of float, shape (n_rows,)
            Of probabilities the absolute difference, 0 to 1; of classes 0 or 1; of values the difference relative to
            the larger one, 0 to 2.
        """
        first, second = one.astype(np.float64), other.astype(np.float64)
        differences = np.abs(first - second)
        if self.scale is Scale.CLASS:
            differences = (differences > 0).astype(np.float64)
        elif self.scale is Scale.VALUE:
            larger = np.maximum(np.abs(first), np.abs(second))
            differences = np.divide(differences, larger, out=np.zeros_like(larger), where=larger > 0)
        return differences if differences.ndim == 1 else differences.max(axis=1)

    def agreements(self, one: FloatMatrix, other: FloatMatrix) -> npt.NDArray[np.bool_] | None:
        """
        Whether two predictions lead to the same decision.

        Returns
        -------
        numpy.ndarray of bool, shape (n_rows,), or None
            None where predictions lead to none.
        """
        if self.scale is Scale.CLASS:
            return np.equal(one, other)
        if one.ndim > 1:
            return np.equal(one.argmax(axis=1), other.argmax(axis=1)) if self.scale is Scale.PROBABILITY else None
        if self.thresholds is None:
            return None
        # In double precision, as a caller compares what stands in the answer.
        first, second = (np.asarray(values, np.float64) for values in (one, other))
        return np.equal(first >= self.thresholds[0], second >= self.thresholds[1])
