"""Whether the best of a search is better than what params.yaml says, and not only luckier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from model.tuning.trial import Trial

N_OTHER_SEEDS = 3


@dataclass(frozen=True)
class Comparison:
    """
    The best trial and the present parameters, with the seed of the search and with others.

    The best of many trials is partly the luckiest. With seeds by which it was not chosen, it has no luck left but
    that of the windows.

    Attributes
    ----------
    best, present : Trial
    best_again, present_again : sequence of Trial
        With the same other seeds; empty where the two are the same parameters.
    is_higher_better : bool
    """

    best: Trial
    present: Trial
    best_again: Sequence[Trial]
    present_again: Sequence[Trial]
    is_higher_better: bool

    @property
    def is_same(self) -> bool:
        """Whether the best are the present ones."""
        return self.best.parameters == self.present.parameters

    @property
    def gain(self) -> float:
        """By how much the best is better, by the seed that it was chosen by."""
        return self._gain(self.best, self.present)

    @property
    def other_gains(self) -> list[float]:
        """By how much it is better with each other seed."""
        return [self._gain(best, present) for best, present in zip(self.best_again, self.present_again, strict=True)]

    @property
    def mean_gain(self) -> float:
        """By how much it is better in the mean of the other seeds."""
        return fmean(self.other_gains)

    @property
    def standard_error(self) -> float:
        """Of that mean."""
        return stdev(self.other_gains) / sqrt(len(self.other_gains))

    @property
    def is_better(self) -> bool:
        """Whether it is, by more than the seeds make of it."""
        return not self.is_same and self.mean_gain > self.standard_error

    def _gain(self, best: Trial, present: Trial) -> float:
        difference = best.path[-1] - present.path[-1]
        return difference if self.is_higher_better else -difference
