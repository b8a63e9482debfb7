"""A champion that answers, with a challenger in its shadow and a payload log, as tests look at them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from app.metrics import Metrics
from app.payload_log import PayloadLog
from app.predictor import Predictor
from app.shadow.answered import Answered
from app.shadow.roles import Cast
from app.shadow.shadow import Shadow
from app.wire.answer import encode_predictions
from app.wire.exchange import Exchange
from tests.boosters import make_table, to_instances

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
        lines = self.roles.lines.make(exchange, decoded)
        answered = Answered(self.roles, lines)
        answered.add(body, decoded.matrix, predictions, is_wanted=self.log.wants(name))
        return self.shadow.offer(answered)

    def answer_together(self, instances: list[dict[str, Any]]) -> bool:
        """Answer plain requests of one instance each, whose lines wait for each other."""
        champion = self.roles.predictor
        lines = self.roles.lines.gather()
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


def expected(predictor: Predictor, instances: list[dict[str, Any]]) -> Any:
    """What a version predicts by itself."""
    body = json.dumps({"instances": instances}).encode()
    decoded = predictor.decoder.decode(body, max_instances=1000, unknown_is_missing=False)
    return predictor.forest.predictions(decoded.matrix)
