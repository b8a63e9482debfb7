"""A challenger as a canary: it answers the callers that are chosen, and where it cannot, the champion does."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.predictor import Predictor
from app.shadow.roles import Cast
from tests.boosters import INPUTS, make_model
from tests.challengers import (
    COMPARED,
    Changed,
    Gate,
    changed,
    failing,
    load_challenger,
    not_finite,
    write_challenger,
    write_stranger,
)
from tests.service.conftest import Serve
from tests.service.problems import GOOD
from tests.service.test_challenger import BODIES, ask, challenge
from tests.service.test_short_way import JSON, answer
from tests.services import Service, wait

HALF = 0.5
KEYS = [f"customer-{number}" for number in range(60)]


@pytest.fixture(scope="module")
def challenger(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With the champion's features."""
    return load_challenger(write_challenger(tmp_path_factory.mktemp("canary") / "model"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With other features."""
    return load_challenger(write_stranger(tmp_path_factory.mktemp("stranger") / "model"))


def version_of(answered: dict[str, Any]) -> str:
    """Which version an answer says gave it."""
    version = answered["model"]["version"]
    assert isinstance(version, str)
    return version


@pytest.mark.parametrize("kind", BODIES)
def test_a_key_always_goes_the_same_way(serve: Serve, challenger: Predictor, kind: str) -> None:
    """In every replica, the short way and the app's; and both versions answer somebody."""
    one, other = (challenge(serve(challenger_share=HALF), challenger) for _ in range(2))
    keys = KEYS if kind == "short" else KEYS[:8]
    chosen = {key: version_of(ask(one, BODIES[kind], (b"x-caller-key", key.encode()))) for key in keys}
    assert set(chosen.values()) == {"7", "8"}
    for key, version in chosen.items():
        assert version_of(ask(other, BODIES[kind], (b"x-caller-key", key.encode()))) == version
        if kind == "short":
            assert version_of(ask(other, BODIES[kind], (b"x-caller-key", key.encode()), short=True)) == version


@pytest.mark.parametrize(
    "key", [None, b"", b"x" * 129, b"with space", "\N{LATIN SMALL LETTER U WITH DIAERESIS}".encode()]
)
def test_without_a_usable_key_the_request_id_decides(serve: Serve, challenger: Predictor, key: bytes | None) -> None:
    """As it does for the request that has it as its key."""
    service = challenge(serve(challenger_share=HALF), challenger)
    versions = set()
    for name in KEYS[:12]:
        own = ask(
            service, BODIES["short"], (b"x-request-id", name.encode()), *([(b"x-caller-key", key)] if key else [])
        )
        as_key = ask(service, BODIES["short"], (b"x-caller-key", name.encode()))
        assert version_of(own) == version_of(as_key)
        versions.add(version_of(own))
    assert versions == {"7", "8"}


@pytest.mark.parametrize("short", [True, False])
def test_a_canarys_answer_is_the_challengers_and_the_champion_its_shadow(
    serve: Serve, challenger: Predictor, short: bool
) -> None:
    """In answer, log and metrics: who answered stands where it always does, the other under its role."""
    service = challenge(serve(challenger_share=1), challenger)
    answered = ask(service, BODIES["short"], short=short)
    champion = service.app.state.rollout.current
    matrix = champion.decoder.decode(BODIES["short"], max_instances=9, unknown_is_missing=False).matrix
    assert answered == {
        "model": {"name": "flight-delay", "version": "8"},
        "predictions": pytest.approx(challenger.forest.predictions(matrix).tolist()),
    }
    lines = service.log_lines(3)
    assert [line["treeserve.prediction"] for line in lines] == answered["predictions"]
    assert [line["treeserve.champion.prediction"] for line in lines] == pytest.approx(
        champion.forest.predictions(matrix).tolist()
    )
    told = {name: value for name, value in lines[0].items() if "model" in name or "version" in name}
    del told["ecs.version"], told["service.version"]
    assert told == {
        "treeserve.model.name": "flight-delay",
        "treeserve.model.version": "8",
        "treeserve.model.alias": "challenger",
        "treeserve.model.run_id": "c" * 32,
        "treeserve.champion.version": "7",
    }
    assert not any("treeserve.challenger" in name for name in lines[0])
    assert service.sample("treeserve_answered_rows_total", role="challenger", version="8") == 3
    assert service.sample("treeserve_challenger_disagreement_count", **COMPARED) == 3
    assert service.sample("treeserve_rows_total") == 3


def test_canaries_and_others_are_predicted_in_batches_each(
    serve: Serve, challenger: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However they alternate; one by one, they would cost as much as their answers."""
    monkeypatch.setattr("app.endpoints.line_batch._PAUSE_S", 60.0)
    watched = changed(challenger, lambda predictions: predictions)
    service = challenge(serve(challenger_share=HALF), watched)
    keys = {_is_usual(service, challenger, key): key.encode() for key in KEYS}
    for _ in range(22):
        for key in keys.values():
            ask(service, BODIES["short"], (b"x-caller-key", key), short=True)
    for _ in wait():
        if service.sample("treeserve_challenger_disagreement_count", **COMPARED) == 2 * 66:
            break
    assert isinstance(watched.forest, Changed)
    assert sorted(watched.forest.n_rows) == [3] * 22 + [66]  # as a canary, and in shadow


@pytest.mark.parametrize("share", [0, 1])
def test_nothing_is_hashed_without_a_share_or_a_challenger(
    serve: Serve, challenger: Predictor, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that has neither pays nothing for them."""
    monkeypatch.setattr("app.shadow.roles._digest", None)
    service = challenge(serve(challenger_share=share), None if share else challenger)
    for short in (True, False):
        assert version_of(ask(service, BODIES["short"], short=short)) == "7"


@pytest.mark.parametrize("change", [failing, not_finite])
def test_what_a_challenger_cannot_answer_the_champion_does(
    serve: Serve, challenger: Predictor, change: Callable[[Any], Any]
) -> None:
    """The caller has the champion's answer, and the operator a count and a line of the log."""
    alone, service = serve(), challenge(serve(challenger_share=1), changed(challenger, change))
    for body in BODIES.values():
        assert ask(service, body) == ask(alone, body)
    assert answer(service, BODIES["short"], JSON) is None  # and so it goes the app's way
    lines = service.log_lines(306)
    assert len(lines) == 306
    assert {line["treeserve.model.version"] for line in lines} == {"7"}
    assert service.sample("treeserve_canary_fallbacks_total") == 3
    assert service.sample("treeserve_answered_rows_total", role="champion", version="7") == 306
    assert service.sample("treeserve_answered_rows_total", role="challenger", version="8") is None


def test_a_body_that_only_the_champion_reads_is_the_champions(serve: Serve, stranger: Predictor) -> None:
    """Whatever the challenger's decoder says of it."""
    service = challenge(serve(challenger_share=1), stranger)
    for body in BODIES.values():
        assert version_of(ask(service, body)) == "7"
    assert service.sample("treeserve_canary_fallbacks_total") == 3


def test_errors_about_a_body_are_the_champions(serve: Serve, stranger: Predictor) -> None:
    """The challenger misses another feature; nobody hears of it, and no fallback is counted, for nobody answered."""
    alone, service = serve(), challenge(serve(challenger_share=1), stranger)
    for body in (b"{", json.dumps({"instances": [{**GOOD, "carrier": "ZZ", "tmp": 1}]}).encode()):
        asked = [
            each.client.post("/predict", content=body, headers=[JSON, (b"x-request-id", b"x")])
            for each in (alone, service)
        ]
        assert asked[0].status_code in (400, 422)
        assert (asked[0].status_code, asked[0].content) == (asked[1].status_code, asked[1].content)
    assert service.sample("treeserve_canary_fallbacks_total") == 0


def test_a_body_that_only_the_challenger_reads_is_its_to_answer(serve: Serve, tmp_path: Path) -> None:
    """A new category or a feature less is what a challenger may be for; the champion has nothing to say then."""
    inputs = [{**given, "required": False} for given in INPUTS]
    lenient = load_challenger(make_model(inputs=inputs).write(tmp_path / "model"))
    service = challenge(serve(challenger_share=1), lenient)
    body = json.dumps({"instances": [{"hour": 3}]}).encode()
    assert version_of(ask(service, body)) == "8"
    (line,) = service.log_lines(1)
    assert "treeserve.champion.prediction" not in line
    assert service.sample("treeserve_shadow_dropped_total", reason="not_comparable") == 1


def test_the_champions_batches_do_not_wait_for_a_slow_challenger(serve: Serve, challenger: Predictor) -> None:
    """A canary's batches have threads of their own: as many as can be are stuck, and the champion answers."""
    gate = Gate()
    service = challenge(serve(challenger_share=HALF), changed(challenger, gate))
    usual = next(key for key in KEYS if _is_usual(service, challenger, key))
    canary = next(key for key in KEYS if not _is_usual(service, challenger, key))
    with ThreadPoolExecutor(16) as callers:
        try:
            stuck = [
                callers.submit(ask, service, BODIES["batch"], (b"x-caller-key", canary.encode())) for _ in range(16)
            ]
            assert gate.began.wait(20)
            assert version_of(ask(service, BODIES["batch"], (b"x-caller-key", usual.encode()))) == "7"
            assert not any(answered.done() for answered in stuck)
        finally:
            gate.is_open.set()
        assert {version_of(answered.result()) for answered in stuck} == {"8"}


def _is_usual(service: Service, challenger: Predictor, key: str) -> bool:
    cast = Cast(service.app.state.rollout.current, challenger, HALF)
    return cast.choose(key) is cast.usual
