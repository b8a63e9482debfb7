"""What Optuna is asked: the same from the same trials, whoever asks and whenever."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from model.tuning.search import Search
from model.tuning.space import SPACE, Values, put_values, take_values
from model.tuning.trial import Trial
from tests.parameters import make_training_parameters

FIXED = make_training_parameters()


def make_trial(values: Values, path: Sequence[float], *, is_pruned: bool = False) -> Trial:
    """A trial that has ended."""
    return Trial(put_values(FIXED, values), [], list(path), is_pruned)


def search_from(seed: int, n_trials: int, *, begun: Sequence[Trial] = ()) -> list[Trial]:
    """Trials that are the better the nearer the learning rate is to 0.1."""
    trials = list(begun)
    for _ in range(len(begun), n_trials):
        values = Search(seed, True, trials).propose()
        trials.append(make_trial(values, [1 - abs(values["learning_rate"] - 0.1)] * 8))
    return trials


def test_a_search_goes_on_as_if_it_had_not_been_interrupted() -> None:
    """Whatever the process knew beside the trials makes no difference."""
    whole = search_from(seed=1, n_trials=16)
    assert search_from(seed=1, n_trials=16, begun=whole[:12]) == whole


def test_another_seed_searches_elsewhere() -> None:
    """From the first trial on."""
    assert Search(0, True, []).propose() != Search(1, True, []).propose()


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_it_comes_nearer_to_what_is_better(is_higher_better: bool) -> None:
    """Of a metric that is to be high, and of one that is to be low: the last trials are twice as near as the first."""
    trials: list[Trial] = []
    for _ in range(30):
        values = Search(0, is_higher_better, trials).propose()
        distance = abs(values["learning_rate"] - 0.25)
        trials.append(make_trial(values, [-distance if is_higher_better else distance] * 8))
    distances = [abs(trial.parameters.learning_rate - 0.25) for trial in trials]
    assert sum(distances[20:]) < sum(distances[:10]) / 2


def test_what_is_proposed_lies_in_the_space_and_has_two_digits() -> None:
    """A person can read it, and it is as it was when it comes back from text."""
    for trial in search_from(seed=3, n_trials=12):
        for name, value in take_values(trial.parameters).items():
            assert SPACE[name]._contains(value)
            assert float(f"{value:.2g}") == value


def test_the_worst_third_is_hopeless_and_only_where_there_is_something_to_compare_with() -> None:
    """Each step by itself: what is low in one may be high in another."""
    values = take_values(FIXED)
    known = [make_trial(values, [rank / 10, 0.9 + rank / 100]) for rank in range(9)]
    is_hopeless = Search(0, True, known).is_hopeless
    assert is_hopeless(0, 0.25)
    assert not is_hopeless(0, 0.28)
    assert is_hopeless(1, 0.92)
    assert not is_hopeless(1, 0.93)
    assert not Search(0, True, known[:4]).is_hopeless(0, -1.0)


def test_pruned_trials_are_nothing_to_compare_with() -> None:
    """Or each that is pruned would make the next one look better."""
    values = take_values(FIXED)
    whole = [make_trial(values, [0.5 + rank / 100] * 8) for rank in range(6)]
    pruned = [make_trial(values, [0.1], is_pruned=True)] * 20
    assert Search(0, True, [*whole, *pruned]).is_hopeless(0, 0.4)


def test_a_lower_metric_is_hopeless_where_it_is_high() -> None:
    """A log loss, for one."""
    known = [make_trial(take_values(FIXED), [0.5 + rank / 100]) for rank in range(6)]
    is_hopeless = Search(0, False, known).is_hopeless
    assert is_hopeless(0, 0.56)
    assert not is_hopeless(0, 0.51)


def test_the_parameter_that_makes_the_difference_is_the_most_important() -> None:
    """Of whole trials that differ; of too few nothing is said."""
    trials = search_from(seed=0, n_trials=12)
    weights = Search(0, True, trials).weigh_parameters()
    assert next(iter(weights)) == "learning_rate"
    assert sum(weights.values()) == pytest.approx(1)
    assert Search(0, True, trials[:3]).weigh_parameters() == {}
