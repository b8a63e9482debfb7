"""Whether the best is better, or only luckier."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.tuning.comparison import Comparison
from model.tuning.findings import list_gains, rank
from model.tuning.trial import Trial
from tests.parameters import make_training_parameters

PRESENT = make_training_parameters()
BEST = replace(PRESENT, max_depth=9)


def compare(best: list[float], present: list[float], *, is_higher_better: bool = True) -> Comparison:
    """The first of each with the search's own seed, the rest with others."""
    of_best, of_present = (
        [Trial(parameters, [], [score], is_pruned=False) for score in scores]
        for parameters, scores in ((BEST, best), (PRESENT, present))
    )
    return Comparison(of_best[0], of_present[0], of_best[1:], of_present[1:], is_higher_better)


def test_luck_with_the_seed_of_the_search_does_not_count() -> None:
    """The best of many trials has it; other seeds have not."""
    lucky = compare([0.75, 0.70, 0.69, 0.70], [0.70, 0.70, 0.70, 0.70])
    assert lucky.gain == pytest.approx(0.05)
    assert not lucky.is_better
    assert list_gains(lucky) == (
        "0.7500 against 0.7000 of the present parameters, +0.0500; "
        "with 3 other seeds, by which it was not chosen, -0.0033 ± 0.0033: not more than luck"
    )


def test_what_is_better_by_more_than_seeds_make_of_it_is_better() -> None:
    """Even if one of them says otherwise; what is better on average by less is not."""
    assert compare([0.71, 0.72, 0.70, 0.71], [0.70, 0.70, 0.70, 0.70]).is_better
    assert not compare([0.71, 0.72, 0.69, 0.70], [0.70, 0.70, 0.70, 0.70]).is_better


def test_less_is_more_where_less_is_better() -> None:
    """Of a log loss."""
    assert compare([0.5, 0.5, 0.5, 0.5], [0.6, 0.6, 0.6, 0.6], is_higher_better=False).is_better
    assert not compare([0.6, 0.6, 0.6, 0.6], [0.5, 0.5, 0.5, 0.5], is_higher_better=False).is_better


def test_the_present_parameters_are_not_better_than_themselves() -> None:
    """There is nothing to measure with other seeds then."""
    trial = Trial(PRESENT, [], [0.7], is_pruned=False)
    same = Comparison(trial, trial, [], [], is_higher_better=True)
    assert not same.is_better
    assert list_gains(same) == "the best parameters are the present ones"


def test_pruned_trials_are_not_ranked_and_the_earlier_of_equals_is_first() -> None:
    """A pruned one has no score, however high it stood where it ended."""
    trials = [
        Trial(replace(BEST, max_depth=depth), [], [score], is_pruned)
        for depth, score, is_pruned in ((3, 0.6, False), (4, 0.9, True), (5, 0.7, False), (6, 0.7, False))
    ]
    assert [trial.parameters.max_depth for trial in rank(trials, is_higher_better=True)] == [5, 6, 3]
    assert [trial.parameters.max_depth for trial in rank(trials, is_higher_better=False)] == [3, 5, 6]
