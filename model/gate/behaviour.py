"""The checks that need no champion: what it was given to know, what it expects, how long it takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.compatibility import Interface, Scale, find_contradictions
from app.predictor import Predictor
from model.datasets.dataset import Dataset
from model.expectations import Answers
from model.gate.verdict import Check
from model.project import Project
from model.rules import GateRules

_SEED = 2013


def check_features(project: Project, answers: Answers) -> Check:
    """It asks what it may, and nothing that is known only later."""
    declared = {column.name for column in project.description.features}
    asked = set(answers.features)
    later, unknown, absent = asked & project.known_later, asked - declared, declared - asked
    faults = [
        f"{what}: {', '.join(sorted(names))}"
        for what, names in (("known only later", later), ("not declared", unknown), ("not asked", absent))
        if names
    ]
    return Check("asks what it may", not faults, "; ".join(faults) or f"the {len(asked)} features that are declared")


def check_callers(challenger: Predictor, champion: Predictor) -> Check:
    """Callers of the champion may go on as they are: else no service takes it for the champion's place."""
    reasons = find_contradictions(*(_interface_of(predictor) for predictor in (champion, challenger)))
    seen = "; ".join(reasons) or "whatever the champion accepts, it accepts, and it answers the same kind of number"
    return Check("callers may stay as they are", not reasons, seen)


def _interface_of(predictor: Predictor) -> Interface:
    nothing = np.full((1, len(predictor.signature.features)), np.nan, dtype=np.float32)
    n_outputs = predictor.forest.predictions(nothing).size
    classes = predictor.card.classes if predictor.card else None
    return Interface(
        predictor.signature, Scale.of(predictor.objective), n_outputs, None if classes is None else tuple(classes)
    )


def check_leak(project: Project, window: Dataset, answers: Answers, rules: GateRules) -> Check:
    """No feature knows nearly all, as one does that the outcome has leaked into."""
    task, once = project.task, np.ones((1, window.n_rows))
    order = np.random.default_rng(_SEED).permutation(window.n_rows)

    def headline(predictions: np.ndarray) -> float:
        return float(task.weighted_headline(window.outcomes, predictions, once)[0])

    sign = 1 if task.is_higher_better else -1
    whole, chance = headline(answers.predictions), headline(answers.predictions[order])
    losses = {
        name: sign * (whole - headline(answers.with_column(name, answers.matrix[order, column])))
        for column, name in enumerate(answers.features)
    }
    name = max(losses, key=losses.__getitem__)
    known = sign * (whole - chance)
    share = max(0.0, losses[name]) / known if known > 0 else 0.0
    seen = (
        f"shuffled, {name} takes away {share:.0%} of what the model knows, as the largest; it may be "
        f"{rules.feature_share:.0%}"
    )
    return Check("no leaked feature", share <= rules.feature_share, seen, {"feature_share": share})


def check_expectations(project: Project, answers: Answers) -> Iterator[Check]:
    """Its predictions are what any good model's are."""
    for expectation in project.expectations:
        holds, seen = expectation.test(answers)
        yield Check(str(expectation), holds, seen)


def check_time(time_us: float, rules: GateRules) -> Check:
    """It is as quick as it has to be."""
    seen = f"{time_us:.1f} µs of processor time for one instance; at most {rules.prediction_time_us:g}"
    return Check("prediction time", time_us <= rules.prediction_time_us, seen, {"prediction_time_us": time_us})
