"""Outcomes find their predictions, whatever order, repetition and contradiction they come in."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from model.__main__ import main
from model.errors import LogUnreadable
from model.observed.live_figures import measure
from model.observed.outcomes import Feedback, Key, join, settle

START = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday


def at(hours: float) -> str:
    """So many hours later, as a service writes it."""
    return (START + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def told(
    outcome: float, *, request: str = "a", instance: int = 0, observed: float = 5, came: float = 20
) -> dict[str, Any]:
    """A line of feedback."""
    return {
        "@timestamp": at(came),
        "event.dataset": "treeserve.feedback",
        "treeserve.feedback.request_id": "another",
        "trace.id": "another",
        "http.request.id": request,
        "treeserve.request.instance": instance,
        "treeserve.outcome": outcome,
        "treeserve.observed_at": at(observed),
    }


def predicted(
    prediction: Any, *, request: str = "a", instance: int = 0, asked: float = 0, version: str = "7", **more: Any
) -> dict[str, Any]:
    """A line of the payload log."""
    return {
        "@timestamp": at(asked),
        "event.dataset": "treeserve.prediction",
        "log.logger": "treeserve.prediction",
        "service.name": "treeserve",
        "http.request.id": request,
        "trace.id": "own",
        "event.duration": 1000,
        "treeserve.request.instance": instance,
        "treeserve.features.number": {"hour": 5},
        "treeserve.prediction": prediction,
        "treeserve.model.name": "flights",
        "treeserve.model.version": version,
        **{f"treeserve.{name.replace('_', '.')}": value for name, value in more.items()},
    }


def holding(*lines: dict[str, Any]) -> tuple[float, str, int, int]:
    """What holds of the one instance, since when, and what was counted."""
    feedback = settle(lines)
    (line,) = feedback.outcomes.values()
    return line["treeserve.outcome"], line["treeserve.observed_at"], feedback.n_repeated, feedback.n_contradicting


def test_a_joined_line_says_what_was_predicted_and_what_came_true() -> None:
    """Whose prediction, with both times; the trace is the prediction's."""
    joined = join(settle([told(1)]), [predicted(0.25, challenger_version="8", challenger_prediction=0.75)])
    assert joined.lines == [
        {
            "@timestamp": at(0),
            "log.level": "info",
            "message": "outcome",
            "log.logger": "treeserve.outcome",
            "event.dataset": "treeserve.outcome",
            "service.name": "treeserve",
            "http.request.id": "a",
            "trace.id": "own",
            "treeserve.request.instance": 0,
            "treeserve.prediction": 0.25,
            "treeserve.model.name": "flights",
            "treeserve.model.version": "7",
            "treeserve.challenger.version": "8",
            "treeserve.challenger.prediction": 0.75,
            "treeserve.outcome": 1,
            "treeserve.observed_at": at(5),
            "treeserve.feedback.received_at": at(20),
        }
    ]
    assert (joined.n_unpredicted, joined.n_early) == (0, 0)


@pytest.mark.parametrize(
    ("lines", "holds"),
    [
        ([told(1, observed=5), told(1, observed=7)], (1, at(5), 1, 0)),
        ([told(1, observed=5), told(0, observed=7)], (0, at(7), 0, 1)),
        ([told(1, observed=5, came=9), told(0, observed=7, came=8)], (0, at(7), 0, 1)),
        ([told(1, observed=5, came=9), told(0, observed=5, came=8)], (1, at(5), 0, 1)),
        ([told(1, observed=5), told(0, observed=7), told(1, observed=9)], (1, at(9), 0, 2)),
        ([told(1, observed=40, came=20), told(0, observed=30, came=31)], (0, at(30), 0, 1)),
        ([told(1, observed=5), told(0, observed=7), told(0, observed=9)], (0, at(7), 1, 1)),
    ],
)
def test_what_was_observed_last_holds(lines: list[dict[str, Any]], holds: tuple[float, str, int, int]) -> None:
    """In whatever order the lines are read; what is only said again changes nothing."""
    for order in permutations(lines):
        assert holding(*order) == holds


def test_instances_and_requests_are_kept_apart() -> None:
    """And what was not predicted, or not told, is left out and counted."""
    feedback = settle([told(1), told(0, instance=1), told(1, request="b"), told(1, request="gone")])
    asked = [predicted(0.1), predicted(0.2, instance=1), predicted(0.3, request="b"), predicted(0.4, request="c")]
    joined = join(feedback, asked)
    pairs = [(line["treeserve.prediction"], line["treeserve.outcome"]) for line in joined.lines]
    assert pairs == [(0.1, 1), (0.2, 0), (0.3, 1)]
    assert joined.n_unpredicted == 1


def test_a_request_sent_again_under_its_id_counts_once() -> None:
    """The last prediction is the one that the caller has used."""
    asked = [predicted(0.2, asked=1), predicted(0.3, asked=2), predicted(0.1)]
    for order in permutations(asked):
        assert [line["treeserve.prediction"] for line in join(settle([told(1)]), order).lines] == [0.3]


def test_further_parts_of_a_long_line_are_no_predictions() -> None:
    """The first has it."""
    part = {name: value for name, value in predicted(0).items() if name != "treeserve.prediction"}
    assert len(join(settle([told(1)]), [predicted(0.5), {**part, "treeserve.part": 1}]).lines) == 1


def test_an_outcome_before_its_prediction_is_joined_and_counted() -> None:
    """It may be a clock that is wrong, or a prediction of what was known already."""
    joined = join(settle([told(1, observed=-1)]), [predicted(0.5)])
    assert (len(joined.lines), joined.n_early) == (1, 1)


@pytest.mark.parametrize(
    "change", [{"treeserve.outcome": "yes"}, {"treeserve.observed_at": 5}, {"http.request.id": None}]
)
def test_a_line_that_no_service_writes_is_refused(change: dict[str, Any]) -> None:
    """With the line."""
    line = {name: value for name, value in (told(1) | change).items() if value is not None}
    with pytest.raises(LogUnreadable, match=r"not as a service writes it.*another"):
        settle([line])
    with pytest.raises(LogUnreadable, match="not as a service writes it"):
        join(Feedback({Key("a", 0): told(1)}, 0, 0), [{"treeserve.prediction": 1}])


def test_figures_are_of_a_version_and_a_week() -> None:
    """And of all weeks; a shadow's predictions are measured on the same outcomes."""
    drawn = np.random.default_rng(7)
    weeks = [0] * 500 + [1] * 500
    outcomes = drawn.integers(0, 2, 1000)
    champion, challenger = (np.clip(0.3 + 0.4 * outcomes + drawn.normal(0, 0.3, 1000), 0, 1).round(2) for _ in "ab")
    asked = [
        predicted(p, request=str(n), asked=168 * week, challenger_version="8", challenger_prediction=q)
        for n, (week, p, q) in enumerate(zip(weeks, champion.tolist(), challenger.tolist(), strict=True))
    ]
    feedback = settle(told(float(outcome), request=str(n)) for n, outcome in enumerate(outcomes))
    figures = measure(join(feedback, asked).lines)
    assert {one.model for one in figures} == {"flights"}
    assert [(one.version, one.role, one.week, one.n_outcomes) for one in figures] == [
        ("7", "answered", "", 1000),
        ("7", "answered", "2026-11-23", 500),
        ("7", "answered", "2026-11-30", 500),
        ("8", "shadow", "", 1000),
        ("8", "shadow", "2026-11-23", 500),
        ("8", "shadow", "2026-11-30", 500),
    ]
    second = figures[5]
    assert second.figures["auc"] == pytest.approx(roc_auc_score(outcomes[500:], challenger[500:]))
    assert second.figures["brier"] == pytest.approx(brier_score_loss(outcomes[500:], challenger[500:]))
    assert second.mean_outcome == pytest.approx(outcomes[500:].mean())
    assert second.mean_prediction == pytest.approx(challenger[500:].mean())


def test_versions_of_several_models_are_kept_apart() -> None:
    """All of them begin with 1."""
    other = predicted(0.9, request="b") | {"treeserve.model.name": "fraud"}
    figures = measure(join(settle([told(1), told(0, request="b")]), [predicted(0.9), other]).lines)
    assert [(one.model, one.n_outcomes) for one in figures if not one.week] == [("flights", 1), ("fraud", 1)]


@pytest.mark.parametrize("change", [{"@timestamp": "nonsense"}, {"treeserve.model.name": None}])
def test_a_prediction_that_no_service_writes_is_refused(change: dict[str, Any]) -> None:
    """If its outcome is known; one of null is none."""
    line = {name: value for name, value in (predicted(0.5) | change).items() if value is not None}
    with pytest.raises(LogUnreadable, match=r"not as a service writes it.*'a'"):
        join(settle([told(1)]), [line])
    assert join(settle([told(1)]), [predicted(None)]).lines == []


def test_numbers_have_errors() -> None:
    """A single outcome has no AUC."""
    feedback = settle([told(4), told(8, request="b")])
    (of_all, of_week) = measure(join(feedback, [predicted(5), predicted(11, request="b")]).lines)
    assert of_all.figures == of_week.figures == {"mae": 2, "rmse": pytest.approx(5**0.5)}
    assert "auc" not in measure(join(settle([told(1)]), [predicted(0.5)]).lines)[0].figures


def test_classes_are_measured_as_in_training() -> None:
    """By log loss, how often the most probable one came, and calibration; a mean of their numbers says nothing."""
    feedback = settle([told(1), told(0, request="b")])
    lines = join(feedback, [predicted([0.1, 0.7, 0.2]), predicted([0.25, 0.5, 0.25], request="b")]).lines
    of_all, _ = measure(lines)
    assert (of_all.n_outcomes, of_all.mean_outcome, of_all.mean_prediction) == (2, None, None)
    assert of_all.figures == pytest.approx(
        {
            "log_loss": -(math.log(0.7) + math.log(0.25)) / 2,
            "accuracy": 0.5,
            "brier": (0.14 + 0.875) / 2,
            "calibration_error": ((0.1 + 0.75) + (0.3 + 0.5) + (0.2 + 0.25)) / 2 / 3,
        }
    )


@pytest.mark.parametrize(
    ("outcome", "prediction"),
    [(3, [0.1, 0.7, 0.2]), (0.5, [0.1, 0.7, 0.2]), (-1, [0.1, 0.7, 0.2]), (1, [3.0, 4.0]), (1, [-0.5, 1.5])],
)
def test_what_is_no_class_is_left_out(outcome: float, prediction: list[float]) -> None:
    """Whether the outcome is none of them, or several numbers are no probabilities."""
    assert measure(join(settle([told(outcome)]), [predicted(prediction)]).lines) == []


def write(path: Path, lines: Iterable[Any]) -> str:
    """A log with these lines."""
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(path)


def test_the_command_joins_what_files_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one file or several, feedback before predictions or after."""
    one = write(tmp_path / "1.log", [told(1), told(1), predicted(0.25), told(0, request="b", came=100)])
    two = write(tmp_path / "2.log", [predicted(0.75, request="b")])
    assert main(["outcomes", one, two, "--output", str(tmp_path / "joined.log")]) == 0
    counted, header, *rows = capsys.readouterr().out.splitlines()
    assert counted == "joined 2  without prediction 0  repeated 1  contradicting 0  before prediction 0"
    assert header.split()[:5] == ["model", "version", "week", "of", "outcomes"]
    assert header.split()[5:] == ["mean", "predicted", "auc", "brier", "calibration", "error"]
    assert rows[0].split() == ["flights", "7", "answered", "(all)", "2", "0.5", "0.5", "0.0000", "0.5625", "0.7500"]
    joined = [json.loads(line) for line in (tmp_path / "joined.log").read_text().splitlines()]
    assert [line["treeserve.outcome"] for line in joined] == [1, 0]
    assert main(["outcomes", one, two, "--until", at(50), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcomes"]["joined"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["-"], 2, "read twice"),
        (["/dev/null"], 2, "read twice"),
        (["log", "--output", "log"], 2, "would be replaced"),
        (["log", "--since", "999999w"], 2, "no time"),
        (["text.log"], 1, "no JSON objects"),
        ([], 2, "one of the arguments"),
        (["log", "--elasticsearch", "http://127.0.0.1"], 2, "not allowed with"),
        (["nowhere.log"], 1, "nowhere.log cannot be read"),
        (["log", "--since", "soon"], 2, "no time"),
        (["log", "--since", "1d"], 1, "POST /feedback writes them"),
        (["log", "--output", "no/where"], 1, "no/where cannot be written"),
        (["--elasticsearch", "nonsense"], 1, "nonsense cannot be asked"),
        (["--elasticsearch", "http://127.0.0.1:9"], 1, "http://127.0.0.1:9 does not answer"),
    ],
)
def test_what_the_command_cannot_do_it_says(
    arguments: list[str],
    status: int,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a line, with what to do."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "log", [told(1), predicted(0.5)])
    (tmp_path / "text.log").write_text("Lorem ipsum\n")
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["outcomes", *arguments]))
    assert ended.value.code == status
    told_error = capsys.readouterr().err
    assert text in told_error
    assert "Traceback" not in told_error
