"""Side by side: bodies and answers of each server, wrong answers, what fails alone, and what the page says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.load import Load
from benchmarks.peers import comparison
from benchmarks.peers.answers import AnswerUnreadable, Verdict, ask, judge
from benchmarks.peers.catalogue import ALWAYS, CEILING, OWN, PEERS, SAMPLED
from benchmarks.peers.command import run
from benchmarks.peers.comparison import Comparison, Effort, compare
from benchmarks.peers.environments import FOLDER, Environment, EnvironmentFailed, read_pins
from benchmarks.peers.forms import NAMED
from benchmarks.peers.lock import write_pin
from benchmarks.peers.numeric_model import NumericModel
from benchmarks.peers.page import write_page
from benchmarks.peers.peer import Peer
from benchmarks.peers.visit import Failure, Visit
from benchmarks.servers import Memory

NAMES = ("hour", "temp")
ROWS = ((17, 39.5), (6, 10.0))
PREDICTIONS = [0.25, 0.75]
SPLIT = {"dataframe_split": {"columns": ["hour", "temp"], "data": [[17, 39.5], [6, 10.0]]}}
TENSOR = {"name": "rows", "datatype": "FP32", "shape": [2, 2], "data": [17, 39.5, 6, 10.0]}
LISTS = [[17, 39.5], [6, 10.0]]

# By server, the body that its documentation asks for, and an answer as it gives it.
EXCHANGES: dict[str, tuple[Any, Any]] = {
    "uvicorn": ({"instances": [{"hour": 17, "temp": 39.5}, {"hour": 6, "temp": 10.0}]}, None),
    "treeserve": (
        {"instances": [{"hour": 17, "temp": 39.5}, {"hour": 6, "temp": 10.0}]},
        {"request_id": "a", "model": {"name": "flight-delay"}, "predictions": PREDICTIONS},
    ),
    "fastapi": (
        {"instances": [{"hour": 17, "temp": 39.5}, {"hour": 6, "temp": 10.0}]},
        {"predictions": PREDICTIONS},
    ),
    "mlserver": (
        {"inputs": [TENSOR]},
        {"outputs": [{"name": "predict", "shape": [2, 1], "datatype": "FP32", "data": PREDICTIONS}]},
    ),
    "kserve": ({"instances": LISTS}, {"predictions": PREDICTIONS}),
    "bentoml": ({"data": LISTS}, PREDICTIONS),
    "litserve": ({"instances": LISTS}, {"predictions": PREDICTIONS}),
    "ray_serve": ({"instances": LISTS}, {"predictions": PREDICTIONS}),
    "timber": ({"inputs": LISTS}, {"model": "flight-delay", "outputs": [[0.25], [0.75]], "done": True}),
    "mlflow": (SPLIT, {"predictions": PREDICTIONS}),
}
EXCHANGES[SAMPLED] = EXCHANGES["treeserve"]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_rows_become_the_body_that_a_server_takes_and_its_answer_predictions(peer: Peer) -> None:
    body, answer = EXCHANGES[peer.name]
    encoded = peer.form.encode(NAMES, ROWS)
    assert json.loads(encoded) == body
    assert b"17," in encoded, "a whole number stays whole"
    assert b"\n" not in encoded, "wrk takes one body a line"
    if answer is not None:
        assert peer.form.decode(json.dumps(answer).encode()) == PREDICTIONS


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b'{"predictions": null}', b'{"predictions": ["x"]}', b'{"predictions": [0.25]}', b"[1, 2]"]
)
def test_an_answer_of_another_form_is_no_answer(answer: bytes) -> None:
    with pytest.raises(AnswerUnreadable):
        ask(lambda _: answer, NAMED, NAMES, ROWS)


@pytest.mark.parametrize(
    ("predictions", "n_wrong"),
    [([0.25, 0.75], 0), ([0.250009, 0.75], 0), ([0.25002, 0.75], 1), ([0.75, 0.25], 2), ([float("nan"), 0.75], 1)],
)
def test_an_answer_that_is_not_xgboosts_is_wrong(predictions: list[float], n_wrong: int) -> None:
    """Two rows in each other's place too, and no number."""
    assert judge(predictions, np.array(PREDICTIONS, np.float32)).n_wrong == n_wrong


def test_the_largest_error_is_told() -> None:
    verdict = judge([0.26, 0.7], np.array(PREDICTIONS, np.float32))
    assert verdict.largest_error == pytest.approx(0.05)


@pytest.mark.parametrize("name", [peer.name for peer in PEERS if peer.name not in ALWAYS])
def test_a_server_has_its_own_locked_environment(name: str) -> None:
    """Each package with a hash, and no word of where it comes from."""
    lock = (FOLDER / name / "requirements.txt").read_text(encoding="utf-8")
    pins = read_pins(lock)
    [peer] = [peer for peer in PEERS if peer.name == name]
    assert peer.distribution in pins
    assert "://" not in lock
    lines = lock.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert line.startswith(("#", "    --hash=")) or following.startswith("    --hash=sha256:"), line


def test_a_package_without_a_wheel_is_not_locked() -> None:
    """It would run code of its own when it is installed."""
    wheel = {"url": "elsewhere", "hashes": {"sha256": "a" * 64}}
    assert write_pin({"name": "ray", "version": "1", "wheels": [wheel]}) == f"ray==1 \\\n    --hash=sha256:{'a' * 64}"
    with pytest.raises(ValueError, match="no wheel"):
        write_pin({"name": "ray", "version": "1"})


def found(requests_per_s: float = 1000.0, batch_ms: float = 10.0, n_wrong: int = 0) -> Visit:
    """What a visit may find."""
    loads = {1: Load(requests_per_s / 2, 1.0, 2.0, 0), 16: Load(requests_per_s, 3.0, 4.0, 0)}
    return Visit(0.5, Memory(90.0, 80.0), Verdict(10_050, n_wrong, 0.05), loads, Load(100.0, batch_ms, 20.0, 0))


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Comparison]:
    """A comparison in which each server is found as it is given, instead of being run."""
    environment = Environment(Path(), dict.fromkeys([peer.distribution or "" for peer in PEERS], "1.2"), 123.0)
    monkeypatch.setattr(comparison, "find_wrk", lambda: "wrk")
    monkeypatch.setattr(comparison, "serving_environment", lambda: environment)
    monkeypatch.setattr(comparison, "provide_model", lambda _: NumericModel(Path(), (), (), np.empty(0, np.float32)))

    def compared(
        given: dict[str, list[Visit | Failure]], n_turns: int = 2, not_installable: str | None = None
    ) -> Comparison:
        def provide(name: str) -> Environment:
            if name == not_installable:
                raise EnvironmentFailed("no such package")
            return environment

        left = {name: iter(each) for name, each in given.items()}
        monkeypatch.setattr(comparison, "provide_environment", provide)
        monkeypatch.setattr(comparison, "visit", lambda peer, *_: next(left.get(peer.name, iter([found()]))))
        return compare(Effort(n_turns, 1.0), [name for name in given if name not in ALWAYS])

    return compared


def test_how_many_times_as_quick_is_taken_in_the_same_turn(visits: Callable[..., Comparison]) -> None:
    """The machine was half as quick in the second turn, and that shows in no ratio."""
    given = {name: [found(), found()] for name in (CEILING, SAMPLED)}
    ours, theirs = [found(8000.0), found(4000.0)], [found(400.0), found(200.0)]
    result = visits({**given, OWN: ours, "kserve": theirs})
    assert result.ratio(OWN, "kserve", lambda visit: visit.single[16].requests_per_s) == 20.0
    assert result.median("kserve", lambda visit: visit.single[16].requests_per_s) == 300.0


def test_a_server_that_fails_leaves_the_others_their_results(visits: Callable[..., Comparison]) -> None:
    """It is told, with what was found of it before, and is not waited for again."""
    given = {name: [found()] * 3 for name in ALWAYS}
    result = visits(
        {**given, "kserve": [found(500.0), Failure("it ended with status 1")], "timber": [found()] * 3}, n_turns=3
    )
    page = write_page(result)
    assert len(result.visits(OWN)) == len(result.visits("timber")) == 3
    assert len(result.visits("kserve")) == 1
    assert "KServe: " in page
    assert "it ended with status 1" in page


def test_a_server_that_cannot_be_installed_is_told(visits: Callable[..., Comparison]) -> None:
    given = {name: [found()] * 2 for name in ALWAYS}
    page = write_page(visits({**given, "timber": []}, not_installable="timber"))
    assert "**Failed** on" in page
    assert "no such package" in page


def test_wrong_answers_are_told(visits: Callable[..., Comparison]) -> None:
    given = {name: [found()] * 2 for name in ALWAYS}
    page = write_page(visits({**given, "timber": [found(n_wrong=7)] * 2}))
    assert "**Wrong**: 7 of 10,050 predictions" in page
    assert "by up to 0.05" in page


def test_an_unknown_server_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(is_quick=True, only="kserve,torchserve") == 2
    assert "unknown: torchserve" in capsys.readouterr().err
