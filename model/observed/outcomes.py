"""
Outcomes joined with predictions, by the request's id and the instance's number.

Feedback comes late, twice, and in contradiction with itself; `settle` says what holds. The service knows nothing of
this: it keeps no state, and the join happens where its logs are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from model.errors import LogUnreadable

OUTCOME_DATASET = "treeserve.outcome"
# What an outcome's line takes over from its prediction's, and from its feedback's.
_FROM_PREDICTION = (
    "ecs.version", "service.name", "service.version", "http.request.id", "trace.id", "treeserve.request.instance",
    "treeserve.prediction", "treeserve.model.name", "treeserve.model.version", "treeserve.model.alias",
    "treeserve.model.run_id", "treeserve.challenger.version", "treeserve.challenger.prediction",
    "treeserve.champion.version", "treeserve.champion.prediction",
)  # fmt: skip
_FROM_FEEDBACK = ("treeserve.outcome", "treeserve.observed_at", "treeserve.feedback.received_at")

Line = Mapping[str, Any]


class Key(NamedTuple):
    """Which instance."""

    request_id: str
    instance: int


@dataclass(frozen=True)
class Feedback:
    """
    What holds of each instance.

    Attributes
    ----------
    outcomes : dict of Key to mapping
        What an outcome's line takes over from the feedback that holds.
    n_repeated : int
        Lines that say again what the one before has said.
    n_contradicting : int
        Lines that say something else.
    """

    outcomes: dict[Key, Line]
    n_repeated: int
    n_contradicting: int


@dataclass(frozen=True)
class Joined:
    """
    Outcomes with their predictions.

    Attributes
    ----------
    lines : list of dict
        Of the dataset `treeserve.outcome`, by when the prediction was asked and by instance: wherever they were read
        from, sums of them have the same bits.
    n_unpredicted : int
        Instances with feedback whose prediction is not in the logs: not sampled, lost, deleted, or never made.
    n_early : int
        Outcomes that were observed before their prediction was asked; they are joined all the same.
    """

    lines: list[dict[str, Any]]
    n_unpredicted: int
    n_early: int


def settle(lines: Iterable[Line]) -> Feedback:
    """
    Decide what holds where an instance has several outcomes: the one that was observed last.

    Of those that were observed at the same time the one that came last holds. Where two that follow one another say the
    same, the first holds.

    Parameters
    ----------
    lines : iterable of mapping
        Of the dataset `treeserve.feedback`.

    Raises
    ------
    LogUnreadable
        If a line is not as a service writes it.
    """
    told: dict[Key, list[Line]] = {}
    for line in lines:
        try:
            float(line["treeserve.outcome"])
            taken = _take(_FROM_FEEDBACK, {**line, "treeserve.feedback.received_at": line["@timestamp"]})
            times_of(taken)
            told.setdefault(key_of(line), []).append(taken)
        except (KeyError, TypeError, ValueError) as error:
            raise LogUnreadable(f"a feedback line is not as a service writes it ({error!r}): {dict(line)}") from None
    holding: dict[Key, Line] = {}
    n_repeated = n_contradicting = 0
    for key, several in told.items():
        several.sort(key=times_of)
        holds = several[0]
        for line in several[1:]:
            if line["treeserve.outcome"] == holds["treeserve.outcome"]:
                n_repeated += 1
            else:
                n_contradicting += 1
                holds = line
        holding[key] = holds
    return Feedback(holding, n_repeated, n_contradicting)


def join(feedback: Feedback, predictions: Iterable[Line]) -> Joined:
    """
    Join outcomes with predictions.

    Parameters
    ----------
    feedback : Feedback
    predictions : iterable of mapping
        Of the dataset `treeserve.prediction`; those without feedback are passed over. Where an instance was predicted
        twice, because a caller has sent a request again under the same id, the last one counts.

    Raises
    ------
    LogUnreadable
        If a line is not as a service writes it.
    """
    found: dict[Key, dict[str, Any]] = {}
    for line in predictions:
        if line.get("treeserve.prediction") is None:  # a further part of a long line
            continue
        try:
            key = key_of(line)
            if key in feedback.outcomes and (key not in found or found[key]["@timestamp"] <= line["@timestamp"]):
                found[key] = _to_outcome(line, feedback.outcomes[key])
        except (KeyError, TypeError, ValueError) as error:
            raise LogUnreadable(
                f"a prediction's line is not as a service writes it ({error!r}): {dict(line)}"
            ) from None
    lines = sorted(found.values(), key=lambda line: (line["@timestamp"], key_of(line)))
    n_early = sum(_observed_before(line) for line in lines)
    return Joined(lines, len(feedback.outcomes) - len(found), n_early)


def key_of(line: Line) -> Key:
    """Which instance a line is of; raises `KeyError` if it does not say."""
    return Key(line["http.request.id"], line["treeserve.request.instance"])


def times_of(outcome: Line) -> tuple[datetime, datetime]:
    """
    When an outcome was observed, and when its feedback came: the later one holds.

    What is said to have been observed only later was observed when the feedback came; a clock is wrong, and must not
    have the last word for so long.
    """
    observed_at, received_at = (datetime.fromisoformat(outcome[name]) for name in _FROM_FEEDBACK[1:])
    return min(observed_at, received_at), received_at


def _to_outcome(prediction: Line, feedback: Line) -> dict[str, Any]:
    datetime.fromisoformat(prediction["@timestamp"])
    if missing := {"treeserve.model.name", "treeserve.model.version"} - prediction.keys():
        raise KeyError(*missing)
    return {
        "@timestamp": prediction["@timestamp"],
        "log.level": "info",
        "message": "outcome",
        "log.logger": OUTCOME_DATASET,
        "event.dataset": OUTCOME_DATASET,
        **_take(_FROM_PREDICTION, prediction),
        **feedback,
    }


def _take(names: Collection[str], line: Line) -> dict[str, Any]:
    return {name: line[name] for name in names if name in line}


def _observed_before(line: Line) -> bool:
    return datetime.fromisoformat(line["treeserve.observed_at"]) < datetime.fromisoformat(line["@timestamp"])
