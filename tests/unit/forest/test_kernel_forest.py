"""The kernel answers with XGBoost's own bits, whatever the booster, the rows and the way of walking."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xgboost

from app.errors import ModelUnfit
from app.forest import kernel_forest
from app.forest.kernel_forest import FloatMatrix, KernelForest
from app.forest.learner import _read_base_scores, pack_learner
from app.forest.packing import NotCovered
from tests.forests import KINDS, OBJECTIVES, WALKS, learner_of, train, with_invalid_codes


def assert_bits_of_xgboost(
    booster: xgboost.Booster, rows: FloatMatrix, kinds: str, walk: str, n_rounds: int | None = None
) -> None:
    """Margins and predictions of the rows, together and one by one, are those of `Booster.predict`."""
    forest = KernelForest.of_learner(learner_of(booster), n_rounds=n_rounds, walk=walk)
    data = xgboost.DMatrix(rows, feature_types=list(kinds), enable_categorical=True)
    used = (0, n_rounds or 0)
    for answer, output_margin in ((forest.margins, True), (forest.predictions, False)):
        expected = booster.predict(data, output_margin=output_margin, iteration_range=used)
        for n_rows in (1, 23, 24, 64, 65, len(rows)):
            answered = answer(rows[:n_rows])
            assert (answered.shape, answered.dtype.name) == (expected[:n_rows].shape, "float32")
            np.testing.assert_array_equal(answered, expected[:n_rows])
        np.testing.assert_array_equal(np.concatenate([answer(row[None]) for row in rows[:50]]), expected[:50])


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective(objective: str, walk: str) -> None:
    """With a base score that was estimated, and one that was given."""
    for given in ({}, {"base_score": 0.3}):
        booster, rows = train({"objective": objective, **OBJECTIVES[objective], **given})
        assert_bits_of_xgboost(booster, rows, "cqqqq", walk)


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_forest(kind: str, walk: str) -> None:
    """However its trees were grown, with all rounds and with the first ones."""
    for objective in ("binary:logistic", "multi:softprob"):
        booster, rows = train({"objective": objective, **OBJECTIVES[objective], **KINDS[kind]})
        for n_rounds in (None, 5):
            assert_bits_of_xgboost(booster, rows, "cqqqq", walk, n_rounds)


@pytest.mark.parametrize("walk", WALKS)
def test_codes_that_no_category_has_go_where_xgboost_sends_them(walk: str) -> None:
    """Negative, too large, fractional: the codec never makes them, and a memory error they must not be."""
    booster, rows = train({"objective": "reg:squarederror"})
    assert_bits_of_xgboost(booster, with_invalid_codes(rows), "cqqqq", walk)


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("n_features", [1, 2, 255, 256, 257, 600])
def test_narrow_and_wide_models(n_features: int, walk: str) -> None:
    """Also those whose rows do not fit on the stack."""
    rng = np.random.default_rng(n_features)
    rows = rng.normal(size=(150, n_features)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    target = np.nansum(rows * rng.normal(size=n_features), axis=1) > 0
    booster = xgboost.train({"max_depth": 5, "nthread": 1}, xgboost.DMatrix(rows, target), 40)
    assert_bits_of_xgboost(booster, rows, "q" * n_features, walk)


@pytest.mark.parametrize("walk", WALKS)
def test_odd_numbers(walk: str) -> None:
    """Zeros of both signs, subnormals, the largest numbers, and the thresholds themselves."""
    booster, rows = train({"objective": "reg:squarederror"})
    trees = learner_of(booster)["gradient_booster"]["model"]["trees"]
    thresholds = np.concatenate([np.asarray(tree["split_conditions"], dtype=np.float32) for tree in trees])
    odd = np.array([0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, np.nan], dtype=np.float32)
    near = [np.nextafter(thresholds, np.float32(side * np.inf)) for side in (-1, 1)]
    values = np.concatenate([odd, thresholds, *near])
    rng = np.random.default_rng(0)
    rows = np.column_stack([rows[:500, 0], rng.choice(values, size=(500, 4))])
    assert_bits_of_xgboost(booster, rows, "cqqqq", walk)


@pytest.mark.parametrize("walk", WALKS)
def test_trees_that_do_not_ask(walk: str) -> None:
    """A tree that is nothing but a leaf adds it, whether all are so or some."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 3)).astype(np.float32)
    target = rng.normal(size=100)
    for gamma in (1e9, 15.0):
        given = {"gamma": gamma, "base_score": 0.0, "nthread": 1, "seed": 3}
        booster = xgboost.train(given, xgboost.DMatrix(rows, target), 40)
        assert_bits_of_xgboost(booster, rows, "qqq", walk)


def test_rows_may_lie_in_memory_as_they_like() -> None:
    """A matrix by columns, or every second row of one, is the same rows."""
    booster, rows = train({"objective": "binary:logistic"})
    forest = KernelForest.of_learner(learner_of(booster), n_rounds=None)
    expected = forest.predictions(rows)
    np.testing.assert_array_equal(forest.predictions(np.asfortranarray(rows)), expected)
    np.testing.assert_array_equal(forest.predictions(rows[::2]), expected[::2])
    assert forest.predictions(rows[:0]).shape == (0,)


def test_threads_share_a_forest() -> None:
    """It is never changed, and large matrices are walked side by side."""
    booster, rows = train({"objective": "multi:softmax", "num_class": 3})
    forest = KernelForest.of_learner(learner_of(booster), n_rounds=None)
    rows = np.tile(rows, (5, 1))
    expected = forest.predictions(rows)
    with ThreadPoolExecutor(8) as callers:
        for answered in callers.map(lambda _: forest.predictions(rows), range(40)):
            np.testing.assert_array_equal(answered, expected)


def test_what_the_kernel_does_not_cover_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """XGBoost answers then; the reason stands in the log and in /model."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2)).astype(np.float32)
    linear = xgboost.train({"booster": "gblinear"}, xgboost.DMatrix(rows, rows[:, 0]), 2)
    vectors = xgboost.train({"multi_strategy": "multi_output_tree"}, xgboost.DMatrix(rows, rows), 2)
    no_trees = xgboost.train({}, xgboost.DMatrix(rows, rows[:, 0]), 0)
    for booster, reason in [(linear, "gblinear"), (vectors, "vectors"), (no_trees, "no trees")]:
        with pytest.raises(NotCovered, match=reason):
            KernelForest.of_learner(learner_of(booster), n_rounds=None)
    learner = learner_of(xgboost.train({}, xgboost.DMatrix(rows, rows[:, 0]), 2))
    with pytest.raises(NotCovered, match="its objective is reg:unknownerror"):
        KernelForest.of_learner({**learner, "objective": {"name": "reg:unknownerror"}}, n_rounds=None)
    monkeypatch.setattr(kernel_forest, "_kernel", None)
    with pytest.raises(NotCovered, match="not built"):
        KernelForest.of_learner(learner, n_rounds=None)


def test_a_walk_that_the_processor_has_not_is_refused() -> None:
    """A name is one of those it says it has."""
    booster, _ = train({"objective": "binary:logistic"})
    with pytest.raises(ModelUnfit, match="no such walk"):
        KernelForest.of_learner(learner_of(booster), n_rounds=None, walk="avx9000")


def test_large_batches_are_shared_among_threads() -> None:
    """Never more than were allowed, and with the same bits."""
    booster, rows = train({"objective": "multi:softprob", "num_class": 3})
    rows = np.tile(rows, (20, 1))
    expected = booster.predict(xgboost.DMatrix(rows, feature_types=list("cqqqq"), enable_categorical=True))
    for cores in (1, 3):
        forest = KernelForest(pack_learner(learner_of(booster), None), n_threads=cores)
        others = set(threading.enumerate())
        np.testing.assert_array_equal(forest.predictions(rows), expected)
        assert forest.predictions(rows[:5]).shape == (5, 3)
        own = {one for one in threading.enumerate() if one.name.startswith("forest")} - others
        assert not own if cores == 1 else 0 < len(own) <= cores
        del forest  # whose threads end with it, so that versions that come and go leave none
        for thread in own:
            thread.join(20)
            assert not thread.is_alive()


def test_the_batches_of_two_forests_do_not_wait_for_each_other() -> None:
    """One model version may take a hundred times as long as the other."""
    booster, rows = train({"objective": "multi:softprob", "num_class": 3})
    packed = pack_learner(learner_of(booster), None)
    slow, quick = (KernelForest(packed, n_threads=2) for _ in range(2))
    is_open = threading.Event()
    stuck = [slow._threads.submit(is_open.wait, 20) for _ in range(2)]
    assert len(quick.predictions(np.tile(rows, (20, 1)))) == 20 * len(rows)
    assert not any(each.done() for each in stuck)
    is_open.set()


def test_a_batch_that_is_not_large_enough_wakes_no_thread() -> None:
    """It would be done before they are."""
    booster, rows = train({"objective": "binary:logistic"})
    forest = KernelForest(pack_learner(learner_of(booster), None), n_threads=2)
    n_trees = booster.num_boosted_rounds()
    limit = -(-2 * kernel_forest._WORK_OF_A_THREAD // n_trees)
    many = np.tile(rows, (limit // len(rows) + 1, 1))[:limit]
    forest.predictions(many[:-1])
    assert not forest._threads._threads
    forest.predictions(many)
    assert forest._threads._threads


@pytest.mark.parametrize(("text", "n_groups", "expected"), [
    ("5E-1", 1, [0.5]), ("[5E-1]", 1, [0.5]), ("5E-1", 3, [0.5] * 3), ("[1E0,2E0]", 2, [1, 2]),
])  # fmt: skip
def test_base_scores_are_read_as_every_xgboost_wrote_them(text: str, n_groups: int, expected: list[float]) -> None:
    """Bare before 3.1, one for each output since."""
    learner = {"learner_model_param": {"base_score": text}}
    assert _read_base_scores(learner, n_groups).tolist() == expected
