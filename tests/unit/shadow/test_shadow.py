"""The shadow predicts what was answered once more, and both predictions stand in a line."""

from __future__ import annotations

import numpy as np
import pytest

from app.predictor import Predictor
from tests.challengers import (
    COMPARED,
    Changed,
    changed,
)
from tests.unit.shadow.pair import INSTANCES, OTHER, Beside, beside, expected


@pytest.mark.parametrize("plain", [True, False])
def test_every_line_has_both_predictions(predictor: Predictor, challenger: Predictor, plain: bool) -> None:
    """Those of requests that are predicted together too; and the differences and decisions are counted."""
    with beside(predictor, challenger) as both:
        for i in range(100):
            assert both.answer(f"r{i}", INSTANCES[3 * i : 3 * i + 3], plain=plain)
    lines = both.lines()
    assert [line["http.request.id"] for line in lines] == [f"r{i}" for i in range(100) for _ in range(3)]
    one, other = expected(predictor, INSTANCES), expected(challenger, INSTANCES)
    np.testing.assert_array_equal(np.array([line["treeserve.prediction"] for line in lines], np.float32), one)
    np.testing.assert_array_equal(np.array([line[OTHER] for line in lines], np.float32), other)
    assert {line["treeserve.challenger.version"] for line in lines} == {"8"}
    assert both.sample("treeserve_challenger_disagreement_count", **COMPARED) == 300
    difference = np.abs(one.astype(float) - other)
    assert both.sample("treeserve_challenger_disagreement_sum", **COMPARED) == pytest.approx(difference.sum())
    assert both.sample("treeserve_challenger_disagreement_bucket", le="0.1", **COMPARED) == np.sum(difference <= 0.1)
    n_agree = np.sum((one >= 0.5) == (other >= 0.5))
    assert 0 < n_agree < 300
    assert both.sample("treeserve_challenger_decisions_total", agree="true", **COMPARED) == n_agree
    assert both.sample("treeserve_challenger_decisions_total", agree="false", **COMPARED) == 300 - n_agree
    assert both.dropped() == {}


@pytest.mark.parametrize("n_requests", [1, 64])
def test_requests_that_come_together_are_predicted_together(
    predictor: Predictor, challenger: Predictor, n_requests: int
) -> None:
    """A forest's call costs as much as several rows; each line has its own prediction."""
    watched = changed(challenger, lambda predictions: predictions)
    with beside(predictor, watched) as both:
        assert both.answer_together(INSTANCES[:n_requests])
    assert isinstance(watched.forest, Changed)
    assert watched.forest.n_rows == [n_requests]
    np.testing.assert_array_equal(
        np.array([line[OTHER] for line in both.lines()], np.float32), expected(challenger, INSTANCES[:n_requests])
    )


def test_a_batch_is_predicted_in_pieces(predictor: Predictor, challenger: Predictor) -> None:
    """A forest shares more than that out among threads, of which the shadow has one."""
    watched = changed(challenger, lambda predictions: predictions)
    assert isinstance(watched.forest, Changed)
    watched.forest.n_quick_rows = 100
    with beside(predictor, watched) as both:
        assert both.answer("batch", INSTANCES[:250])
    assert watched.forest.n_rows == [100, 100, 50]
    np.testing.assert_array_equal(
        np.array([line[OTHER] for line in both.lines()], np.float32), expected(challenger, INSTANCES[:250])
    )


@pytest.mark.parametrize(("sample_rate", "is_logged"), [(0.0, True), (0.5, True), (1.0, False)])
def test_all_requests_are_compared_whatever_the_log_wants(
    predictor: Predictor, challenger: Predictor, sample_rate: float, is_logged: bool
) -> None:
    """Sampling saves lines, not comparisons."""
    with beside(predictor, challenger, sample_rate=sample_rate, is_logged=is_logged) as both:
        for i in range(100):
            both.answer(f"{i:032x}", INSTANCES[i : i + 1])
    assert both.sample("treeserve_challenger_disagreement_count", **COMPARED) == 100
    recorded = {line["http.request.id"] for line in both.lines()}
    assert recorded == {f"{i:032x}" for i in range(100) if both.log.wants(f"{i:032x}")}
    assert len(recorded) == pytest.approx(100 * sample_rate * is_logged, abs=0 if sample_rate in (0, 1) else 25)


def test_a_shadow_that_never_started_can_be_closed(predictor: Predictor, challenger: Predictor) -> None:
    """A start that fails early ends as cleanly as any."""
    both = Beside(predictor, challenger, 1.0, is_logged=False)
    both.shadow.close()
