"""The gate's checks: each passes a good challenger, and refuses one with the fault that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from model.datasets.dataset import Dataset
from model.expectations import Matrix
from model.gate.behaviour import check_expectations, check_features, check_leak, check_time
from model.gate.checks import Comparison, check_calibration, check_gain, check_slices
from model.gate.verdict import Check, Verdict
from model.registry.versions import MOST_CHARACTERS
from model.training.binary import BinaryClassification
from tests.unit.model.gate.answers import PROJECT, answers_of, good, make_rules, make_window, poor

RULES = make_rules()


@pytest.fixture(scope="module")
def window() -> Dataset:
    """The newest rows."""
    return make_window()


def compare(window: Dataset, challenger: Matrix, champion: Matrix) -> Comparison:
    """Both models' predictions for it."""
    ours, theirs = answers_of(window, lambda _: challenger), answers_of(window, lambda _: champion)
    return Comparison(BinaryClassification(), window, ours, theirs)


def of(window: Dataset, function: Callable[[Matrix], Matrix]) -> Matrix:
    """The predictions of one of the functions."""
    return answers_of(window, function).predictions


def test_a_better_challenger_passes_and_a_worse_one_and_an_equal_one_do_not(window: Dataset) -> None:
    """With both figures, the gain, and what it is for certain."""
    passed = check_gain(compare(window, of(window, good), of(window, poor)), RULES)
    assert passed.has_passed
    assert passed.figures["gain"] > passed.figures["gain_low"] > 0
    assert f"auc {passed.figures['auc']:.4f}, the champion's {passed.figures['champion_auc']:.4f}" in passed.seen
    assert not check_gain(compare(window, of(window, poor), of(window, good)), RULES).has_passed
    assert not check_gain(compare(window, of(window, good), of(window, good)), RULES).has_passed


def test_a_gain_has_to_be_as_large_as_the_rules_want(window: Dataset) -> None:
    """For certain, not in the mean."""
    comparison = compare(window, of(window, good), of(window, poor))
    low = check_gain(comparison, RULES).figures["gain_low"]
    assert check_gain(comparison, make_rules(least_gain=low * 0.99)).has_passed
    assert not check_gain(comparison, make_rules(least_gain=low * 1.01)).has_passed


def test_a_challenger_that_promises_too_much_is_not_calibrated(window: Dataset) -> None:
    """Above the bound, or above the champion's error by more than the rules let it be."""
    exact, high = of(window, good), of(window, good) + np.float32(0.06)
    assert check_calibration(compare(window, exact, exact), RULES).has_passed
    assert check_calibration(compare(window, high, high), RULES).has_passed
    assert not check_calibration(compare(window, high, exact), RULES).has_passed
    assert not check_calibration(compare(window, exact + np.float32(0.15), high), make_rules()).has_passed


def test_a_challenger_that_is_worse_on_one_carrier_is_refused_though_better_in_all(window: Dataset) -> None:
    """The slice is named, with by how much."""
    is_delta = (window.features["carrier"] == "DL").to_numpy()
    restless = of(window, poor) + np.random.default_rng(1).normal(0, 0.1, window.n_rows)
    worse = np.where(is_delta, restless, of(window, good)).astype(np.float32)
    check = check_slices(compare(window, worse, of(window, poor)), PROJECT.slices, RULES)
    assert not check.has_passed
    assert "in 1 of 4 slices: carrier DL by 0." in check.seen
    assert check_slices(compare(window, of(window, good), of(window, poor)), PROJECT.slices, RULES).has_passed


def test_a_slice_with_few_rows_is_not_looked_at(window: Dataset) -> None:
    """Nor one where only one thing came true; if there is none, that is said."""
    comparison = compare(window, of(window, poor), of(window, good))
    few = check_slices(comparison, PROJECT.slices, make_rules(slice_rows=10_000))
    assert (few.has_passed, few.seen) == (True, "no slice has 10,000 rows")
    assert not check_slices(comparison, PROJECT.slices, RULES).has_passed


def test_a_feature_that_is_known_later_or_not_declared_is_refused(window: Dataset) -> None:
    """By its name."""
    assert check_features(PROJECT, answers_of(window, good)).has_passed
    leaking = replace(answers_of(window, good), features=["hour", "delay", "height"])
    check = check_features(PROJECT, leaking)
    assert not check.has_passed
    assert check.seen == "known only later: delay; not declared: delay, height; not asked: noise, temp"


def test_a_feature_that_knows_the_outcome_is_found_out(window: Dataset) -> None:
    """Though it is called like an honest one: shuffled, it takes away all that the model knows."""
    assert check_leak(PROJECT, window, answers_of(window, good), RULES).has_passed
    matrix = answers_of(window, good).matrix.copy()
    matrix[:, 2] = window.outcomes
    leaking = replace(
        answers_of(window, good), matrix=matrix, function=lambda rows: good(rows) * 0.1 + rows[:, 2] * np.float32(0.9)
    )
    check = check_leak(PROJECT, window, leaking, RULES)
    assert not check.has_passed
    assert check.seen.startswith("shuffled, noise takes away ")


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (lambda rows: 1 - good(rows), "rises with hour"),
        (lambda rows: good(rows) * 0.5 + np.round(rows[:, 2] * 10) % 2 * np.float32(0.4), "steady in noise"),
        (lambda rows: good(rows) + np.float32(0.5), "predictions in their range"),
        (lambda rows: np.where(rows[:, 0] == 1, np.nan, good(rows)), "predictions in their range"),
    ],
)
def test_predictions_that_no_good_model_makes_are_refused(
    window: Dataset, broken: Callable[[Matrix], Matrix], fault: str
) -> None:
    """Upside down, restless, above 1, or no numbers."""
    assert all(check.has_passed for check in check_expectations(PROJECT, answers_of(window, good)))
    checks = check_expectations(PROJECT, answers_of(window, broken))
    assert fault in {check.name for check in checks if not check.has_passed}


def test_a_slow_challenger_is_refused() -> None:
    """At the bound it passes."""
    assert check_time(100.0, make_rules(prediction_time_us=100.0)).has_passed
    assert not check_time(100.1, make_rules(prediction_time_us=100.0)).has_passed


def test_a_verdict_is_refused_by_one_check_and_says_which() -> None:
    """As text, tags, metrics and JSON; NaN, which MLflow's databases do not have, is no metric."""
    checks = [Check("quick", True, "1 µs", {"us": 1.0}), Check("better", False, "0.1 worse", {"gain": float("nan")})]
    verdict = Verdict("7", "6", "2013-12-01 to 2013-12-28", 5, checks)
    assert not verdict.has_passed
    assert verdict.reasons == ["better: 0.1 worse"]
    assert "**Gate: refused** against version 6, on 5 rows" in verdict.to_markdown()
    assert "| better | **no** | 0.1 worse |" in verdict.to_markdown()
    assert verdict.to_tags()["gate"] == "refused"
    assert verdict.to_metrics() == {"gate_us": 1.0}
    assert [check["passed"] for check in verdict.to_json()["checks"]] == [True, False]
    assert Verdict("7", "", "", 5, checks[:1]).has_passed
    long = Verdict("7", "6", "", 5, [Check("x", False, "y" * 10_000)])
    assert len(long.to_tags()["gate.reasons"]) == MOST_CHARACTERS
