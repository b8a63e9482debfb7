"""The gate on registered model versions: fetched as a service fetches them, and the verdict written beside them."""

from __future__ import annotations

import json

import pandas as pd

from model.datasets.dataset import Dataset
from model.datasets.split import midnight
from model.errors import GateImpossible
from model.gate.answers import load_predictor
from model.gate.judge import choose_window, judge
from model.gate.verdict import VERDICT_TAG, Verdict
from model.names import CHAMPION
from model.progress import Progress
from model.project import Project
from model.registry.versions import Versions
from model.rules import GateRules


def gate(
    project: Project, versions: Versions, version: str, dataset: Dataset, rules: GateRules, progress: Progress
) -> Verdict:
    """
    Judge a model version against the champion, and write the verdict into its run, tags and description.

    Parameters
    ----------
    project : Project
    versions : Versions
    version : str
    dataset : Dataset
        All rows whose outcomes are known.
    rules : GateRules
    progress : Progress

    Raises
    ------
    GateImpossible
        If it is the champion, has seen the rows that it would be judged by, or cannot answer them.
    ModelError
        If one of the two may not serve at all.
    """
    champion = versions.find(CHAMPION)
    if champion == version:
        raise GateImpossible(f"{versions.name} version {version} is the champion itself")
    window = choose_window(dataset, rules.window_days)
    run = versions.run_of(version)
    _check_unseen(project, version, run.data.params.get("test_from"), window)
    challenger = load_predictor(f"models:/{versions.name}/{version}")
    present = load_predictor(f"models:/{versions.name}/{champion}") if champion else None
    verdict = judge(project, challenger, present, window, rules, progress)
    _write(versions, run.info.run_id, verdict)
    return verdict


def _check_unseen(project: Project, version: str, test_from: str | None, window: Dataset) -> None:
    if test_from is None:
        raise GateImpossible(f"which rows version {version} has seen is not known: its run has no parameter test_from")
    first = window.moments.min()
    if first < midnight(pd.Timestamp(test_from), project.time_zone):
        raise GateImpossible(
            f"version {version} has seen rows until {test_from}, and would be judged by rows since {first:%Y-%m-%d}: "
            "train with an earlier split.test_from, or make gate.window_days shorter"
        )


def _write(versions: Versions, run_id: str, verdict: Verdict) -> None:
    # An older one must not be taken for this one, if this process ends in the middle.
    versions.untag(verdict.challenger, VERDICT_TAG)
    with versions.asking() as client:
        for name, value in verdict.to_metrics().items():
            client.log_metric(run_id, name, value)
        client.log_text(run_id, verdict.to_markdown() + "\n", "gate/verdict.md")
        client.log_text(run_id, json.dumps(verdict.to_json(), indent=1) + "\n", "gate/verdict.json")
        client.set_tag(run_id, "gate", verdict.outcome)
    versions.describe(verdict.challenger, verdict.to_markdown())
    versions.tag(verdict.challenger, verdict.to_tags())
