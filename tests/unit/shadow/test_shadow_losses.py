"""What the shadow cannot predict costs nothing but the other prediction, and is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.predictor import Predictor
from app.shadow.answered import Answered
from app.shadow.roles import Cast
from tests.boosters import INPUTS, make_model, make_table, make_target, train_booster
from tests.challengers import (
    COMPARED,
    Gate,
    changed,
    failing,
    load_challenger,
    not_finite,
)
from tests.services import wait
from tests.unit.shadow.pair import INSTANCES, OTHER, Beside, beside, expected


def test_what_the_queue_has_no_room_for_is_left_to_the_caller(
    predictor: Predictor, challenger: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A challenger that is too slow costs its predictions; what is larger than the queue is taken into an empty one."""
    monkeypatch.setattr("app.shadow.shadow.MAX_WAITING_BYTES", 5000)
    gate = Gate()
    with beside(predictor, changed(challenger, gate)) as both:
        assert both.answer("large", INSTANCES)
        assert gate.began.wait(20)
        taken = [both.answer(str(i), INSTANCES[:2]) for i in range(20)]
        gate.is_open.set()
    n_taken = taken.count(True)
    assert 0 < n_taken < 10
    assert taken == [True] * n_taken + [False] * (20 - n_taken)
    assert both.dropped() == {"queue_full": 2 * (20 - n_taken)}
    assert [OTHER in line for line in both.lines()] == [True] * (300 + 2 * n_taken)


def test_a_challenger_that_raises_costs_no_line(predictor: Predictor, challenger: Predictor) -> None:
    """Nor does it end the thread: what comes later is tried again."""
    with beside(predictor, changed(challenger, failing)) as both:
        for i in range(3):
            both.answer(str(i), INSTANCES[:2])
            for _ in wait():
                if both.dropped() == {"failed": 2 * i + 2}:
                    break
    assert [(line["http.request.id"], OTHER in line) for line in both.lines()] == [
        (str(i), False) for i in range(3) for _ in range(2)
    ]


def test_an_answer_that_is_not_finite_costs_only_its_own_request(predictor: Predictor, challenger: Predictor) -> None:
    """Those that are predicted together with it keep their predictions."""
    with beside(predictor, changed(challenger, not_finite)) as both:
        both.answer_together(INSTANCES[:4])
    assert [OTHER in line for line in both.lines()] == [True, False, False, False]
    assert both.dropped() == {"failed": 3}
    assert both.sample("treeserve_challenger_disagreement_count", **COMPARED) == 1


def test_bodies_that_the_challenger_refuses_cost_only_their_own_requests(predictor: Predictor, tmp_path: Path) -> None:
    """It does not know a carrier that some bodies have, and its columns are others."""
    table = make_table(seed=5, carriers=["AA", "DL"])[["wind", "carrier", "hour", "temp"]]
    booster = train_booster(table, make_target(table), rounds=3)
    folder = make_model(
        booster=booster, table=table, inputs=[INPUTS[3], *INPUTS[:3]], card={"categories": {"carrier": ["AA", "DL"]}}
    ).write(tmp_path / "model")
    other = load_challenger(folder)
    known = [instance["carrier"] != "UA" for instance in INSTANCES[:40]]
    with beside(predictor, other) as both:
        both.answer_together(INSTANCES[:40])
    assert [OTHER in line for line in both.lines()] == known
    assert both.dropped() == {"not_comparable": known.count(False)}
    read = [instance for instance, is_known in zip(INSTANCES, known, strict=False) if is_known]
    np.testing.assert_array_equal(
        np.array([line[OTHER] for line in both.lines() if OTHER in line], np.float32), expected(other, read)
    )


def test_bodies_that_the_challenger_refuses_are_not_comparable(predictor: Predictor, stranger: Predictor) -> None:
    """It requires a feature that no body has."""
    with beside(predictor, stranger) as both:
        for i in range(10):
            both.answer(str(i), INSTANCES[i : i + 1])
    assert [OTHER in line for line in both.lines()] == [False] * 10
    assert both.dropped() == {"not_comparable": 10}


def test_predictions_of_another_kind_are_not_compared(predictor: Predictor, challenger: Predictor) -> None:
    """Neither values with probabilities, nor one number with several."""
    by_class = changed(challenger, lambda predictions: np.column_stack([predictions, predictions]))
    for other in (replace(challenger, objective="reg:squarederror"), by_class):
        with beside(predictor, other) as both:
            both.answer("x", INSTANCES[:2])
        assert [OTHER in line for line in both.lines()] == [False, False]
        assert both.dropped() == {"not_comparable": 2}


def test_the_end_waits_for_no_challenger_and_loses_no_line(predictor: Predictor, challenger: Predictor) -> None:
    """What is being predicted and what waits is written without the other prediction, and once only."""
    gate = Gate()
    both = Beside(predictor, changed(challenger, gate), 1.0, is_logged=True)
    both.log.start()
    both.shadow.start()
    both.answer("in work", INSTANCES[:2])
    assert gate.began.wait(20)
    both.answer("waits", INSTANCES[:3])
    both.shadow.close(timeout_s=0.01)
    assert not both.answer("late", INSTANCES[:1])
    gate.is_open.set()
    both.shadow._thread.join(20)
    assert both.log.close()
    assert [(line["http.request.id"], OTHER in line) for line in both.lines()] == [
        (name, False) for name, n in (("in work", 2), ("waits", 3)) for _ in range(n)
    ]
    assert both.dropped() == {"closed": 6}
    assert all(both.sample("treeserve_payload_dropped_total", reason=reason) == 0 for reason in ("closed", "not_made"))


@pytest.mark.parametrize("is_wanted", [True, False])
def test_all_that_waits_counts(predictor: Predictor, challenger: Predictor, *, is_wanted: bool) -> None:
    """Body, matrix and predictions, and as much again for the lines of what is not plain; each once."""
    body, matrix, predictions = b"x" * 1000, np.zeros((10, 4), np.float32), np.zeros((10, 3), np.float32)
    roles = Cast(predictor, challenger).usual
    lines = roles.lines.gather()
    answered = Answered(roles, lines)
    told = "0.5," * 10
    if is_wanted:
        lines.add(body, told, "r", None, 0, 0)
    answered.add(body, matrix, predictions, is_wanted=is_wanted)
    objects = 512
    assert answered.n_bytes == len(body) + matrix.nbytes + predictions.nbytes + objects + len(told) * is_wanted
