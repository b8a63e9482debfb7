"""A trial: what training itself would see, followed along a path that is fair to slow learners."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from model.datasets.dataset import Dataset
from model.datasets.split import split_by_time
from model.errors import TrainingError
from model.progress import Progress
from model.training.binary import BinaryClassification
from model.training.fit import fit_model
from model.tuning.trial import N_STEPS, Curves, IsHopeless, Measure, list_checkpoints
from model.tuning.windows import drop_test_rows, list_spans, make_windows, prefers_higher
from tests.parameters import make_parameters

TASK = BinaryClassification()
PARAMETERS = replace(
    make_parameters(max_depth=3, learning_rate=0.3, rounds=60, stopping_rounds=5, min_child_weight=1),
    stop_from=date(2013, 3, 1),
    test_from=date(2013, 3, 31),
)
TRAIN = PARAMETERS.train


def make_rows(n_days: int = 120) -> Dataset:
    """Twenty rows a day from January 1st on, whose outcome depends on a category and a number."""
    rng = np.random.default_rng(0)
    n_rows = 20 * n_days
    carrier, temp = rng.choice(["AA", "DL"], n_rows), rng.normal(50, 15, n_rows)
    late = rng.random(n_rows) < 1 / (1 + np.exp(-((carrier == "DL") * 2 - 1 + (50 - temp) / 10)))
    moments = pd.Series(pd.date_range("2013", periods=n_rows, freq="72min", tz="UTC"))
    return Dataset(pd.DataFrame({"carrier": carrier, "temp": temp}), late.astype(np.int8), moments)


@pytest.fixture(scope="module")
def measure() -> Measure:
    """Two windows of these rows."""
    visible = drop_test_rows(make_rows(), PARAMETERS, "UTC")
    return Measure(make_windows(visible, PARAMETERS, "UTC"), TASK.booster_parameters, is_higher_better=True)


def never(step: int, value: float) -> bool:
    """There is always hope."""
    return False


def hopeless_at(step: int) -> IsHopeless:
    """There is none from a step of the path on."""
    return lambda at, _: at == step


def ignore(curves: Curves) -> None:
    """Nobody listens."""


def test_the_last_window_is_trainings_own_early_stopping(measure: Measure) -> None:
    """Round for round, so that what the search finds is what training will do."""
    trial = measure.grow(TRAIN, never, ignore)
    stop_from, test_from = (pd.Timestamp(day, tz="UTC") for day in (PARAMETERS.stop_from, PARAMETERS.test_from))
    model = fit_model(split_by_time(make_rows(), stop_from, test_from), TASK, TRAIN, Progress(io.StringIO()))
    assert trial.curves[-1] == model.stop_scores
    assert measure.best_round(trial.curves[-1]) == model.n_rounds


def test_the_score_is_the_mean_of_what_the_windows_came_to(measure: Measure) -> None:
    """And the last step of the path."""
    trial = measure.grow(TRAIN, never, ignore)
    assert trial.score == pytest.approx(np.mean([max(curve) for curve in trial.curves]))
    assert len(trial.path) == N_STEPS * 2
    assert not trial.is_pruned


def test_windows_follow_each_other_and_the_last_is_the_split(measure: Measure) -> None:
    """As long as each other; what is later than the last is in none."""
    assert list_spans(PARAMETERS) == [("2013-01-30", "2013-03-01"), ("2013-03-01", "2013-03-31")]
    assert [window.stop.num_row() for window in measure.windows] == [600, 600]
    assert [window.fit.num_row() for window in measure.windows] == [29 * 20, 59 * 20]


def test_a_window_without_rows_says_which() -> None:
    """In one line, with what there is."""
    late = replace(PARAMETERS, stop_from=date(2013, 1, 10), test_from=date(2013, 2, 10))
    with pytest.raises(
        TrainingError, match=r"from 2012-12-10 until before 2013-01-10, and before that time are 0 rows"
    ):
        make_windows(drop_test_rows(make_rows(), late, "UTC"), late, "UTC")


@pytest.mark.parametrize(("metric", "higher"), [("auc", True), ("logloss", False), (["logloss", "auc"], True)])
def test_xgboost_says_which_way_a_metric_is_better(measure: Measure, metric: str | list[str], higher: bool) -> None:
    """By the last, where there are several."""
    settings = {"objective": "binary:logistic", "eval_metric": metric}
    assert prefers_higher(measure.windows[0], settings) is higher


def test_a_lower_metric_is_followed_downwards(measure: Measure) -> None:
    """The best is the least."""
    lower = Measure(measure.windows, {"objective": "binary:logistic", "eval_metric": "logloss"}, is_higher_better=False)
    trial = lower.grow(TRAIN, never, ignore)
    assert trial.score == pytest.approx(np.mean([min(curve) for curve in trial.curves]))
    assert lower.metric == "logloss"


def test_a_slow_learner_is_looked_at_later() -> None:
    """After as much as it learns, not after as many rounds."""
    slow, fast = (list_checkpoints(replace(TRAIN, rounds=800, learning_rate=rate)) for rate in (0.02, 0.2))
    assert fast == [20, 40, 80]
    assert slow == [200, 400, 800]


@pytest.mark.parametrize("step", range(N_STEPS * 2 - 1))
def test_a_trial_ends_at_the_step_where_it_is_hopeless(measure: Measure, step: int) -> None:
    """Its path is the beginning of the whole one, and it has grown no tree more than it takes to be there."""
    whole = measure.grow(TRAIN, never, ignore)
    trial = measure.grow(TRAIN, hopeless_at(step), ignore)
    assert trial.is_pruned
    assert trial.score is None
    assert trial.path == whole.path[: step + 1]
    assert len(trial.curves) == step // N_STEPS + 1
    if step % N_STEPS == 0:
        assert len(trial.curves[-1]) == list_checkpoints(TRAIN)[0]


def test_curves_of_before_lead_to_the_same_end(measure: Measure) -> None:
    """So that a trial that another search measured counts as one of this search's own."""
    whole = measure.grow(TRAIN, never, ignore)
    for step in range(N_STEPS * 2):
        grown = measure.grow(TRAIN, hopeless_at(step), ignore)
        taken = measure.end_where_hopeless(TRAIN, whole.curves, hopeless_at(step))
        assert (taken.path, taken.is_pruned) == (grown.path, grown.is_pruned)
        assert measure.is_settled(taken)


def test_curves_that_another_search_cut_short_do_not_pass_for_whole_ones(measure: Measure) -> None:
    """A search that sees hope goes on."""
    cut = measure.grow(TRAIN, hopeless_at(1), ignore)
    assert not measure.is_settled(measure.end_where_hopeless(TRAIN, cut.curves, never))
    assert not measure.is_settled(measure.end_where_hopeless(TRAIN, [], never))


def test_every_round_is_reported_by_the_end(measure: Measure) -> None:
    """Also those after the last checkpoint, and those before early stopping ended a window."""

    def lengths() -> Iterator[list[int]]:
        seen: list[list[int]] = []
        trial = measure.grow(TRAIN, never, lambda curves: seen.append([len(curve) for curve in curves]))
        yield seen[-1]
        yield [len(curve) for curve in trial.curves]

    reported, grown = lengths()
    assert reported == grown
