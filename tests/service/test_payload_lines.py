"""The lines of the payload log: what an analyst finds in Kibana."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.line_sink import LineSink
from tests.boosters import ModelFolderBuilder, make_model, make_table, to_instances, train_booster
from tests.lines import join
from tests.service.conftest import Serve
from tests.service.problems import GOOD
from tests.services import RUN_ID, FakeRegistry, Service, run_service

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_line_has_the_fields_that_are_promised(service: Service) -> None:
    """Exactly these ECS and treeserve fields, with the instance as it was sent and the answer as it was given."""
    started = time.time()
    headers = {"X-Request-ID": "id-1", "traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
    answer = service.client.post("/predict", json={"instances": [GOOD]}, headers=headers).json()
    (line,) = service.log_lines(1)

    at = datetime.fromisoformat(line.pop("@timestamp"))
    assert at.tzinfo == UTC
    assert started - 0.001 <= at.timestamp() <= time.time()
    duration_ns = line.pop("event.duration")
    assert isinstance(duration_ns, int)
    assert 0 < duration_ns < 10_000_000_000
    assert isinstance(line.pop("service.version"), str)
    assert line == {
        "log.level": "info",
        "message": "prediction",
        "ecs.version": "8.11.0",
        "service.name": "treeserve",
        "event.dataset": "treeserve.prediction",
        "log.logger": "treeserve.prediction",
        "http.request.id": "id-1",
        "trace.id": TRACE_ID,
        "treeserve.model.name": "flight-delay",
        "treeserve.model.version": "7",
        "treeserve.model.alias": "champion",
        "treeserve.model.run_id": RUN_ID,
        "treeserve.request.instance": 0,
        "treeserve.features.number": {"hour": 17.0, "temp": 39.0, "wind": 8.5},
        "treeserve.features.category": {"carrier": "UA"},
        "treeserve.prediction": answer["predictions"][0],
    }


def test_there_is_one_line_an_instance_in_their_order(service: Service) -> None:
    """A batch of three is three lines of one request, numbered as in the request."""
    answer = service.client.post("/predict", json={"instances": [{**GOOD, "hour": hour} for hour in (1, 9, 17)]}).json()
    lines = service.log_lines(3)
    assert len(lines) == 3
    assert [line["treeserve.request.instance"] for line in lines] == [0, 1, 2]
    assert [line["treeserve.features.number"]["hour"] for line in lines] == [1, 9, 17]
    assert [line["treeserve.prediction"] for line in lines] == answer["predictions"]
    assert {line["http.request.id"] for line in lines} == {answer["request_id"]}


def test_missing_values_are_left_out(service: Service) -> None:
    """Null and absent features are no fields, so that Kibana's "exists" finds what was there."""
    service.predict({"carrier": None, "hour": 3, "temp": None})
    (line,) = service.log_lines(1)
    assert line["treeserve.features.number"] == {"hour": 3.0}
    assert line["treeserve.features.category"] == {}
    assert "trace.id" not in line


@pytest.mark.parametrize("request_id", ['"},{"x":"', "\\", "%s%n{0}"])
def test_a_hostile_request_id_breaks_no_line(service: Service, request_id: str) -> None:
    """What a caller sends is data in a line, never its syntax."""
    service.client.post("/predict", json={"instances": [GOOD]}, headers={"X-Request-ID": request_id})
    (line,) = service.log_lines(1)
    assert line["http.request.id"] == request_id


def test_a_hostile_category_breaks_no_line(serve: Serve) -> None:
    """Line ends, quotes and signs of other scripts in a value stay inside its line."""
    service = serve(unknown_category="missing")
    values = ['a"b\\', "line\nend\r\u2028", "東京", "\x00\x1f", "😀"]
    service.predict(*({**GOOD, "carrier": value} for value in values))
    text = service.payload_log.read_bytes()
    lines = service.log_lines(5)
    assert [line["treeserve.features.category"]["carrier"] for line in lines] == values
    assert text.isascii()


def test_a_lone_surrogate_is_answered_and_logged(serve: Serve) -> None:
    """JSON can escape half a character, which no UTF-8 file can hold: the line keeps the escape."""
    service = serve(unknown_category="missing")
    body = json.dumps({"instances": [{**GOOD, "carrier": "\ud800"}]})
    assert service.client.post("/predict", content=body).status_code == 200
    assert service.log_lines(1)[0]["treeserve.features.category"]["carrier"] == "\ud800"


def test_classes_are_logged_as_a_list(serve: Serve, tmp_path: Path) -> None:
    """A model with one probability a class logs all of them."""
    table = make_table()
    parameters = {"objective": "multi:softprob", "num_class": 3}
    booster = train_booster(table, table["carrier"].cat.codes.to_numpy(), parameters, rounds=2)
    service = serve(make_model(booster=booster, card=None).write(tmp_path / "model"))
    (predictions,) = service.predict(GOOD)
    assert len(predictions) == 3
    assert service.log_lines(1)[0]["treeserve.prediction"] == predictions


def test_what_waits_is_written_before_the_service_ends(champion_folder: Path, tmp_path: Path) -> None:
    """A shutdown loses no line: the file is whole when the service has ended."""
    place = tmp_path / "payload.log"
    with run_service(FakeRegistry(champion_folder), place) as service:
        for _ in range(10):
            service.predict(*[GOOD] * 500)
    lines: list[dict[str, Any]] = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 5_000
    assert place.read_bytes().endswith(b"\n")


def test_a_file_is_appended_to(serve: Serve, tmp_path: Path) -> None:
    """A restart keeps what is there."""
    place = tmp_path / "kept.log"
    place.write_text('{"kept": true}\n')
    service = serve(payload_log=str(place))
    service.payload_log = place
    service.predict(GOOD)
    assert service.log_lines(2)[0] == {"kept": True}


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("name", ["order-{}", "{:032x}"])
def test_a_share_of_the_requests_is_recorded_and_none_by_halves(
    champion_folder: Path, tmp_path: Path, rate: float, name: str
) -> None:
    """The same requests by every replica, and whichever way they are answered."""
    ids = [name.format(number) for number in range(400)]
    recorded = []
    for replica in ("one", "two"):
        log_file = tmp_path / f"{replica}.log"
        with run_service(FakeRegistry(champion_folder), log_file, payload_sample_rate=rate) as service:
            for number, request_id in enumerate(ids):
                body = json.dumps({"instances": [GOOD] * (1 + number % 2)})
                if number % 3 == 0:  # not plain, and so decoded and recorded in another way
                    body = body.replace('"UA"', '"\\u0055A"')
                headers = {"X-Request-ID": request_id, "Content-Type": "application/json"}
                assert service.client.post("/predict", content=body, headers=headers).status_code == 200
        lines = [json.loads(line) for line in log_file.read_text(encoding="utf-8").splitlines()]
        recorded.append([(line["http.request.id"], line["treeserve.request.instance"]) for line in lines])
    assert recorded[0] == recorded[1]
    requests = {request_id for request_id, _ in recorded[0]}
    whole = [(id_, row) for number, id_ in enumerate(ids) for row in range(1 + number % 2) if id_ in requests]
    assert recorded[0] == whole
    assert len(requests) == pytest.approx(400 * rate, abs=0 if rate in (0, 1) else 40)


KEY = "a key of the operator's"


def test_what_the_operator_hides_is_nowhere_in_the_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever way a request goes; a name that no feature has is told, for it may be misspelt."""
    service = serve(
        payload_redact='{"carrier": "hash", "temp": "drop", "wimd": "drop"}',
        payload_redact_key=KEY,
        unknown_category="missing",
    )
    for instances in ([GOOD], [GOOD] * 500, [{**GOOD, "carrier": "\u00e9 secret"}]):
        service.predict(*instances)
    lines = service.log_lines(502)
    key = hashlib.sha256(KEY.encode()).digest()
    known, unknown = (
        hashlib.blake2s(name.encode(), key=key, digest_size=16).hexdigest() for name in ("UA", "\u00e9 secret")
    )
    assert [line["treeserve.features.category"] for line in lines] == [{"carrier": known}] * 501 + [
        {"carrier": unknown}
    ]
    assert [line["treeserve.features.number"] for line in lines] == [{"hour": 17, "wind": 8.5}] * 502
    assert "secret" not in service.payload_log.read_text(encoding="utf-8")
    assert "has no features 'wimd', which TREESERVE_PAYLOAD_REDACT names" in caplog.text


def test_a_wide_model_is_recorded_in_lines_that_no_runtime_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard output; in a file each instance has one line. 200 features have fields, and the rest has one."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(40, 5000)).astype("float32"), columns=[f"f{i}" for i in range(5000)])
    booster = train_booster(table, (table["f0"] > 0).to_numpy(float), rounds=2)
    model = ModelFolderBuilder(booster, None, table, with_golden=False, card=None).write(tmp_path / "model")
    instances = to_instances(table.head(3))
    registry = FakeRegistry(model)
    for place in ("stdout", str(tmp_path / "log")):
        output = tmp_path / f"output of {place.rpartition('/')[2]}"
        with output.open("wb") as file, monkeypatch.context() as patch:
            patch.setattr("tests.services.standard_output", lambda file=file: LineSink(file.fileno()))
            with run_service(registry, tmp_path / "log", payload_log=place, cache_dir=tmp_path / "cache") as service:
                predictions = service.predict(*instances)
                assert service.sample("treeserve_rows_total") == 3
            assert service.sample("treeserve_payload_written_total") == 3
        written = (output if place == "stdout" else tmp_path / "log").read_bytes().splitlines()
        assert (len(written) > 3 * 10) == (place == "stdout")
        assert all(len(line) < 16_384 for line in written) == (place == "stdout")
        lines = join([json.loads(line) for line in written])
        assert [line["treeserve.prediction"] for line in lines] == predictions
        for line, instance in zip(lines, instances, strict=True):
            assert len(line["treeserve.features.number"]) == 200
            assert line["treeserve.features.number"] | line["treeserve.features.other"] == instance
