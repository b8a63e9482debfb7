"""A challenger in shadow: both predictions are recorded, and no caller notices it, whatever it does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.predictor import Predictor
from tests.boosters import make_table, to_instances
from tests.challengers import (
    COMPARED,
    Gate,
    changed,
    failing,
    load_challenger,
    not_finite,
    write_challenger,
    write_stranger,
)
from tests.service.conftest import Serve
from tests.service.problems import GOOD, problem_of
from tests.service.test_short_way import JSON, answer
from tests.services import RUN_ID, FakeRegistry, Service, run_service, wait

OTHER = "treeserve.challenger.prediction"
INSTANCES = to_instances(make_table(n_rows=300, seed=4))
# Plain and small; plain and large; neither.
BODIES = {
    "short": json.dumps({"instances": INSTANCES[:3]}).encode(),
    "batch": json.dumps({"instances": INSTANCES}).encode(),
    "not plain": json.dumps({"instances": INSTANCES[:3]}).replace('"hour"', '"\\u0068our"').encode(),
}


@pytest.fixture(scope="module")
def challenger(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With the champion's features."""
    return load_challenger(write_challenger(tmp_path_factory.mktemp("challenger") / "model"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With other features."""
    return load_challenger(write_stranger(tmp_path_factory.mktemp("stranger") / "model"))


def challenge(service: Service, challenger: Predictor | None) -> Service:
    """The service, with a challenger from now on."""
    service.app.state.rollout.challenger = challenger
    return service


def ask(service: Service, body: bytes, *headers: tuple[bytes, bytes], short: bool = False) -> dict[str, Any]:
    """The answer without its id, the short way or the app's."""
    if short:
        found = answer(service, body, JSON, *headers)
        assert found is not None
        document = json.loads(found[1])
    else:
        response = service.client.post("/predict", content=body, headers=[JSON, *headers])
        assert response.status_code == 200, response.text
        document = response.json()
    del document["request_id"]
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(("kind", "short"), [("short", True), ("short", False), ("batch", False), ("not plain", False)])
def test_both_predictions_stand_in_the_payload_log(
    service: Service, challenger: Predictor, kind: str, short: bool
) -> None:
    """The champion's where it always stands, and the challenger's under its role, whichever way a request goes."""
    answered = ask(challenge(service, challenger), BODIES[kind], short=short)
    decoded = challenger.decoder.decode(BODIES[kind], max_instances=1000, unknown_is_missing=False)
    expected = challenger.forest.predictions(decoded.matrix).astype(float).tolist()
    lines = service.log_lines(len(expected))
    assert [line[OTHER] for line in lines] == pytest.approx(expected)
    assert expected != pytest.approx(answered["predictions"])
    assert [line["treeserve.prediction"] for line in lines] == answered["predictions"]
    told = {name: value for name, value in lines[0].items() if "model" in name or "challenger" in name}
    assert told == {
        "treeserve.model.name": "flight-delay",
        "treeserve.model.version": "7",
        "treeserve.model.alias": "champion",
        "treeserve.model.run_id": RUN_ID,
        "treeserve.challenger.version": "8",
        OTHER: lines[0][OTHER],
    }
    assert service.sample("treeserve_challenger_disagreement_count", **COMPARED) == len(expected)
    assert service.sample("treeserve_answered_rows_total", role="champion", version="7") == len(expected)


def test_without_a_challenger_nothing_of_it_is_recorded(service: Service, challenger: Predictor) -> None:
    """Before one is loaded, and after it is gone again."""
    for now in (None, challenger, None):
        ask(challenge(service, now), BODIES["short"], short=True)
    lines = service.log_lines(9)
    assert sorted(OTHER in line for line in lines) == [False] * 6 + [True] * 3
    assert service.sample("treeserve_challenger_disagreement_count", **COMPARED) == 3


BROKEN: dict[str, Callable[[Any], Any]] = {
    "raises": failing,
    "answers NaN": not_finite,
    "answers two numbers": lambda predictions: predictions.repeat(2).reshape(-1, 2),
    "answers too few": lambda predictions: predictions[:-1],
    "wants memory": lambda _: (_ for _ in ()).throw(MemoryError),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_whatever_a_challenger_does_the_champion_answers_and_is_recorded(
    serve: Serve, challenger: Predictor, fault: str
) -> None:
    """The same answers and lines as without it; what it has not predicted is counted."""
    alone, beside = serve(), challenge(serve(), changed(challenger, BROKEN[fault]))
    for body in BODIES.values():
        assert ask(beside, body) == ask(alone, body)
    assert ask(beside, BODIES["short"], short=True) == ask(alone, BODIES["short"], short=True)
    n_lines = 3 + 300 + 3 + 3
    lines = beside.log_lines(n_lines)
    assert len(lines) == n_lines
    n_told = sum(OTHER in line for line in lines)
    assert n_told == 0
    reason = "not_comparable" if "two" in fault or "few" in fault else "failed"
    assert beside.sample("treeserve_shadow_dropped_total", reason=reason) == n_lines
    assert beside.sample("treeserve_payload_dropped_total", reason="not_made") == 0


def test_a_challenger_with_other_features_costs_only_the_comparison(service: Service, stranger: Predictor) -> None:
    """Its decoder refuses the bodies, and no caller hears of that."""
    for body in BODIES.values():
        ask(challenge(service, stranger), body)
    assert not any(OTHER in line for line in service.log_lines(306))
    assert service.sample("treeserve_shadow_dropped_total", reason="not_comparable") == 306


def test_answers_wait_for_no_challenger(service: Service, challenger: Predictor) -> None:
    """It is stuck at the first request, and all others are answered."""
    gate = Gate()
    challenge(service, changed(challenger, gate))
    for _ in range(3):
        for body in BODIES.values():
            ask(service, body)
        ask(service, BODIES["short"], short=True)
    assert gate.began.wait(20)
    gate.is_open.set()
    assert sum(OTHER in line for line in service.log_lines(3 * 309)) == 3 * 309


def test_a_full_queue_costs_the_other_prediction_and_never_a_line(
    service: Service, challenger: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that the shadow has no room for are written while it is stuck."""
    monkeypatch.setattr("app.shadow.shadow.MAX_WAITING_BYTES", 1)
    gate = Gate()
    challenge(service, changed(challenger, gate))
    ask(service, BODIES["short"])
    assert gate.began.wait(20)
    for _ in range(11):
        ask(service, BODIES["short"])
    assert not any(OTHER in line for line in service.log_lines(30))
    gate.is_open.set()
    assert sum(OTHER in line for line in service.log_lines(36)) == 6
    assert service.sample("treeserve_shadow_dropped_total", reason="queue_full") == 30


@pytest.mark.parametrize("settings", [{"payload_sample_rate": 0}, {"payload_log": "off"}])
def test_all_requests_are_compared_whatever_is_recorded(
    serve: Serve, challenger: Predictor, settings: dict[str, Any]
) -> None:
    """Every way, and no line is written for it."""
    service = challenge(serve(**settings), challenger)
    for body in BODIES.values():
        ask(service, body)
    ask(service, BODIES["short"], short=True)
    for _ in wait():
        if service.sample("treeserve_challenger_disagreement_count", **COMPARED) == 309:
            break
    assert not service.payload_log.exists() or service.payload_log.read_text() == ""


def test_what_waits_is_written_before_the_service_ends(
    champion_folder: Path, challenger: Predictor, tmp_path: Path
) -> None:
    """With the other prediction if there is time, and in no long time without."""
    gate = Gate()
    for change in (lambda predictions: predictions, gate):
        place = tmp_path / f"{type(change).__name__}.log"
        with run_service(FakeRegistry(champion_folder), place) as service:
            challenge(service, changed(challenger, change))
            for _ in range(10):
                ask(service, BODIES["short"], short=True)
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 10
        lines = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]
        assert [OTHER in line for line in lines] == [change is not gate] * 30
    gate.is_open.set()
    for thread in threading.enumerate():
        if thread.name == "shadow":
            thread.join(20)


def test_a_refused_body_is_not_predicted_in_shadow(service: Service, challenger: Predictor) -> None:
    """There is nothing to compare it with."""
    challenge(service, challenger)
    response = service.client.post("/predict", json={"instances": [{**GOOD, "carrier": "ZZ"}]})
    problem_of(response, 422, "invalid_request")
    ask(service, BODIES["short"])
    assert len(service.log_lines(3)) == 3
    assert service.sample("treeserve_challenger_disagreement_count", **COMPARED) == 3
