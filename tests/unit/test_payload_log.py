"""The payload log writes one line an instance, with all that a prediction can be traced back by."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from app.line_sink import Sink
from app.metrics import Metrics
from app.model_version import ModelVersion
from app.payload_log import Exchange, PayloadLog
from app.signature import Feature, FeatureType, Signature
from app.wire.decoder import InstancesDecoder

SIGNATURE = Signature(
    (
        Feature("carrier", FeatureType.CATEGORY, categories=("AA", "DL")),
        Feature("gate", FeatureType.CATEGORY, categories=(10, 20)),
        Feature("Größe", FeatureType.LONG),
        Feature("is_late", FeatureType.BOOLEAN),
    )
)
DECODER = InstancesDecoder(SIGNATURE)
VERSION = ModelVersion("flight-delay", "7", "champion", "a" * 32, "/x", is_immutable=True)


def exchange(
    request_id: str = "r",
    n_rows: int = 1,
    *,
    instances: Sequence[Mapping[str, Any]] | None = None,
    predictions: Sequence[Any] | None = None,
    n_bytes: int = 0,
    **changes: Any,
) -> Exchange:
    """A request of `n_rows` equal instances, or of those given, and its answer; its body has at least `n_bytes`."""
    instances = instances or [{"carrier": "AA"}] * n_rows
    body = json.dumps({"instances": instances}).encode()
    fields: dict[str, Any] = {
        "request_id": request_id,
        "trace_id": None,
        "at_s": 1_700_000_000.25,
        "duration_ns": 1_500_000,
        "version": VERSION,
        "decoder": DECODER,
        "decoded": DECODER.decode(body.ljust(n_bytes), max_instances=1000, unknown_is_missing=True),
        "predictions": json.dumps(predictions or [0.25] * len(instances))[1:-1],
    }
    return Exchange(**fields | changes)


class Log:
    """A payload log with its own metrics, as a test looks at it."""

    def __init__(self, sink: Sink | None, **more: Any) -> None:
        self.collectors = CollectorRegistry()
        self.log = PayloadLog(sink, Metrics(self.collectors), **more)

    @property
    def n_written(self) -> float | None:
        return self.collectors.get_sample_value("treeserve_payload_written_total")

    def n_dropped(self, reason: str) -> float | None:
        return self.collectors.get_sample_value("treeserve_payload_dropped_total", {"reason": reason})


def lines(sink: io.BytesIO) -> list[dict[str, Any]]:
    """What has been written."""
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def written(*exchanges: Exchange) -> list[dict[str, Any]]:
    """The lines of exchanges."""
    sink = io.BytesIO()
    own = Log(sink)
    own.log.start()
    for one in exchanges:
        own.log.record(one)
    assert own.log.close()
    assert own.n_written == len(lines(sink))
    return lines(sink)


def test_an_instance_is_one_line_with_all_that_identifies_it() -> None:
    """Request, trace, model version and run: every prediction can be traced back."""
    instance = {"carrier": "AA", "gate": 20, "Größe": 7, "is_late": True}
    [line] = written(exchange(trace_id="b" * 32, instances=[instance], predictions=[0.25]))
    assert line["@timestamp"] == "2023-11-14T22:13:20.250000Z"
    assert line["event.dataset"] == "treeserve.prediction"
    assert (line["event.duration"], line["http.request.id"], line["trace.id"]) == (1_500_000, "r", "b" * 32)
    model = {name.rpartition(".")[2]: value for name, value in line.items() if name.startswith("treeserve.model.")}
    assert model == {"name": "flight-delay", "version": "7", "alias": "champion", "run_id": "a" * 32}
    assert line["treeserve.features.category"] == {"carrier": "AA", "gate": "20"}
    assert line["treeserve.features.number"] == {"Größe": 7.0, "is_late": 1.0}
    assert (line["treeserve.request.instance"], line["treeserve.prediction"]) == (0, 0.25)


def test_what_is_not_there_is_left_out() -> None:
    """No trace, alias or run, a missing value, no unknown category: no field, rather than null."""
    version = ModelVersion("x", "1", None, None, "/x", is_immutable=False)
    [line] = written(exchange(version=version, instances=[{"carrier": None}]))
    absent = {"trace.id", "treeserve.model.alias", "treeserve.model.run_id", "treeserve.features.unknown"}
    assert not absent & set(line)
    assert (line["treeserve.features.category"], line["treeserve.features.number"]) == ({}, {})


def test_a_numbered_category_is_logged_in_one_way() -> None:
    """A caller may write 10.0, and the boards still count one category."""
    read = written(exchange(instances=[{"gate": 10}, {"gate": 10.0}], predictions=[0.1, 0.2]))
    assert [line["treeserve.features.category"] for line in read] == [{"gate": "10"}] * 2


def test_each_instance_has_its_number_its_prediction_and_its_unknown_categories() -> None:
    """A batch is a line each, in order; classes stay together."""
    instances = [{"carrier": "AA"}, {"carrier": "new"}, {"carrier": "DL"}]
    read = written(exchange(instances=instances, predictions=[[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]))
    assert [line["treeserve.request.instance"] for line in read] == [0, 1, 2]
    assert [line["treeserve.prediction"][0] for line in read] == [0.1, 0.2, 0.3]
    assert [line.get("treeserve.features.unknown") for line in read] == [None, ["carrier"], None]


def test_exchanges_are_written_in_the_order_of_their_coming_and_all_before_the_end() -> None:
    """Closing waits for what is waiting."""
    read = written(*[exchange(str(i), n_rows=2) for i in range(200)])
    assert [line["http.request.id"] for line in read] == [str(i) for i in range(200) for _ in range(2)]


def test_without_a_sink_nothing_is_written_and_nothing_counted() -> None:
    """`off` means off."""
    own = Log(None)
    own.log.start()
    own.log.record(exchange())
    assert own.log.close()
    assert own.n_written == 0


def test_a_log_that_never_started_can_be_closed() -> None:
    """A start that fails early ends as cleanly as any."""
    assert Log(io.BytesIO()).log.close()
