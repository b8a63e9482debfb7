"""The shadow predicts what it can, and what it cannot costs nothing but the other prediction."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from app.metrics import Metrics
from app.payload_log import PayloadLog
from app.predictor import Predictor
from app.shadow.answered import Answered
from app.shadow.roles import Cast
from app.shadow.shadow import Shadow
from app.wire.answer import encode_predictions
from app.wire.exchange import Exchange
from tests.boosters import INPUTS, make_model, make_table, make_target, to_instances, train_booster
from tests.challengers import (
    Changed,
    Gate,
    changed,
    failing,
    load_challenger,
    not_finite,
    write_challenger,
    write_stranger,
)
from tests.services import wait

INSTANCES = to_instances(make_table(n_rows=300, seed=9))
OTHER = "treeserve.challenger.prediction"


class Beside:
    """A champion that answers, with a challenger in its shadow, as a test looks at them."""

    def __init__(self, champion: Predictor, challenger: Predictor, sample_rate: float, *, is_logged: bool) -> None:
        self.sink = io.BytesIO()
        self.collectors = CollectorRegistry()
        metrics = Metrics(self.collectors)
        self.log = PayloadLog(self.sink if is_logged else None, metrics, sample_rate)
        self.shadow = Shadow(self.log, metrics)
        self.roles = Cast(champion, challenger).usual

    def answer(self, name: str, instances: list[dict[str, Any]], *, plain: bool = True) -> bool:
        """Answer, as the endpoint does; whether the shadow has taken it."""
        text = json.dumps({"instances": instances})
        body = (text if plain else text.replace('"hour"', '"\\u0068our"')).encode()
        champion = self.roles.predictor
        decoded = champion.decoder.decode(body, max_instances=1000, unknown_is_missing=False)
        assert (decoded.instances is None) == plain
        predictions = champion.forest.predictions(decoded.matrix)
        exchange = Exchange(body, encode_predictions(predictions), name, None, 0, 0)
        lines = champion.decoder.make_lines(champion.log_members, self.roles.before_other, exchange, decoded)
        answered = Answered(self.roles, lines)
        answered.add(body, decoded.matrix, predictions, is_wanted=self.log.wants(name))
        return self.shadow.offer(answered)

    def answer_together(self, instances: list[dict[str, Any]]) -> bool:
        """Answer plain requests of one instance each, whose lines wait for each other."""
        champion = self.roles.predictor
        lines = champion.decoder.gather_lines(champion.log_members, self.roles.before_other)
        answered = Answered(self.roles, lines)
        for i, instance in enumerate(instances):
            body = json.dumps({"instances": [instance]}).encode()
            matrix = champion.decoder.read_plain(body, 1)
            assert matrix is not None
            predictions = champion.forest.predictions(matrix)
            lines.add(body, encode_predictions(predictions), str(i), None, 0, 0)
            answered.add(body, matrix, predictions, is_wanted=True)
        return self.shadow.offer(answered)

    def dropped(self) -> Mapping[str, float]:
        """By reason, where any were."""
        reasons = ("queue_full", "not_comparable", "failed", "closed")
        found = {reason: self.sample("treeserve_shadow_dropped_total", reason=reason) for reason in reasons}
        return {reason: n for reason, n in found.items() if n}

    def sample(self, metric: str, **labels: str) -> float:
        """A metric's value."""
        value = self.collectors.get_sample_value(metric, labels)
        assert value is not None
        return value

    def lines(self) -> list[dict[str, Any]]:
        """What the payload log has written."""
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]


@contextmanager
def beside(
    champion: Predictor, challenger: Predictor, *, sample_rate: float = 1.0, is_logged: bool = True
) -> Iterator[Beside]:
    """Run them; at the end of the block everything is closed and written."""
    both = Beside(champion, challenger, sample_rate, is_logged=is_logged)
    both.log.start()
    both.shadow.start()
    yield both
    both.shadow.close(timeout_s=20)
    assert both.log.close()


@pytest.fixture(scope="module")
def challenger(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With the champion's features."""
    return load_challenger(write_challenger(tmp_path_factory.mktemp("challenger") / "model"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With other features."""
    return load_challenger(write_stranger(tmp_path_factory.mktemp("stranger") / "model"))


def expected(predictor: Predictor, instances: list[dict[str, Any]]) -> Any:
    """What a version predicts by itself."""
    body = json.dumps({"instances": instances}).encode()
    decoded = predictor.decoder.decode(body, max_instances=1000, unknown_is_missing=False)
    return predictor.forest.predictions(decoded.matrix)


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
    assert both.sample("treeserve_challenger_disagreement_count") == 300
    difference = np.abs(one.astype(float) - other)
    assert both.sample("treeserve_challenger_disagreement_sum") == pytest.approx(difference.sum())
    assert both.sample("treeserve_challenger_disagreement_bucket", le="0.1") == np.sum(difference <= 0.1)
    n_agree = np.sum((one >= 0.5) == (other >= 0.5))
    assert 0 < n_agree < 300
    assert both.sample("treeserve_challenger_decisions_total", agree="true") == n_agree
    assert both.sample("treeserve_challenger_decisions_total", agree="false") == 300 - n_agree
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
    assert both.sample("treeserve_challenger_disagreement_count") == 1


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


@pytest.mark.parametrize(("sample_rate", "is_logged"), [(0.0, True), (0.5, True), (1.0, False)])
def test_all_requests_are_compared_whatever_the_log_wants(
    predictor: Predictor, challenger: Predictor, sample_rate: float, is_logged: bool
) -> None:
    """Sampling saves lines, not comparisons."""
    with beside(predictor, challenger, sample_rate=sample_rate, is_logged=is_logged) as both:
        for i in range(100):
            both.answer(f"{i:032x}", INSTANCES[i : i + 1])
    assert both.sample("treeserve_challenger_disagreement_count") == 100
    recorded = {line["http.request.id"] for line in both.lines()}
    assert recorded == {f"{i:032x}" for i in range(100) if both.log.wants(f"{i:032x}")}
    assert len(recorded) == pytest.approx(100 * sample_rate * is_logged, abs=0 if sample_rate in (0, 1) else 25)


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
    [worker] = [thread for thread in threading.enumerate() if thread is both.shadow._thread]
    worker.join(20)
    assert both.log.close()
    assert [(line["http.request.id"], OTHER in line) for line in both.lines()] == [
        (name, False) for name, n in (("in work", 2), ("waits", 3)) for _ in range(n)
    ]
    assert both.dropped() == {"closed": 6}
    assert all(both.sample("treeserve_payload_dropped_total", reason=reason) == 0 for reason in ("closed", "not_made"))


def test_a_shadow_that_never_started_can_be_closed(predictor: Predictor, challenger: Predictor) -> None:
    """A start that fails early ends as cleanly as any."""
    both = Beside(predictor, challenger, 1.0, is_logged=False)
    both.shadow.close()
