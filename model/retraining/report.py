"""What one run of the retraining has decided, and why: one report, for people and for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from model.gate.verdict import Verdict
from model.registry.registration import Experiment

Outcome = Literal[
    "nothing to do",  # no rule calls for a new version
    "nothing new",  # the data makes no other version than there are
    "refused",  # the gate did not pass what was trained
    "challenger",  # what was trained shadows the champion from now on
    "shadowing",  # a challenger waits for outcomes
    "dropped",  # a challenger was worse in service
    "given up",  # a challenger was neither better nor worse for too long
    "promoted",  # a challenger is the champion now, or the first version of all
]


@dataclass
class Report:
    """
    Written as it goes.

    Attributes
    ----------
    champion, challenger : str
        The versions at the start; empty for none.
    steps : list of (str, str)
        What was looked at or done, and what was found.
    figures : dict of str to float
    verdict : Verdict or None
        The gate's, if it was asked.
    version : str
        The version that the outcome is about; empty for none.
    outcome : str
    """

    champion: str
    challenger: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None
    version: str = ""
    outcome: Outcome = "nothing to do"

    def note(self, step: str, found: str, figures: Mapping[str, float] | None = None) -> None:
        """Add a step."""
        self.steps.append((step, found))
        self.figures.update(figures or {})

    def end(self, outcome: Outcome, version: str = "") -> Report:
        """Say what came of it."""
        self.outcome, self.version = outcome, version
        return self

    def to_markdown(self) -> str:
        """For a person."""
        about = f": version {self.version}" if self.version else ""
        lines = [
            f"# Retraining: {self.outcome}{about}",
            "",
            f"When it began: {_name('champion', self.champion)}, {_name('challenger', self.challenger)}.",
            "",
            *(f"- **{step}**: {found}" for step, found in self.steps),
        ]
        return "\n".join([*lines, *(["", self.verdict.to_markdown()] if self.verdict else [])]) + "\n"

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "outcome": self.outcome,
            "version": self.version,
            "champion": self.champion,
            "challenger": self.challenger,
            "steps": [{"step": step, "found": found} for step, found in self.steps],
            "figures": self.figures,
            "gate": self.verdict.to_json() if self.verdict else None,
        }

    def log(self, experiment: Experiment) -> str:
        """Keep it as a run of MLflow of its own; the run's id."""
        with experiment.asking() as client:
            tags = {"kind": "retraining", "outcome": self.outcome, "model_version": self.version}
            run = client.create_run(experiment.id, run_name=f"retraining: {self.outcome}", tags=tags)
            run_id = str(run.info.run_id)
            for name, value in self.figures.items():
                if not math.isnan(value):  # which MLflow's databases do not have
                    client.log_metric(run_id, name, value)
            client.log_text(run_id, self.to_markdown(), "retraining.md")
            client.log_text(run_id, json.dumps(self.to_json(), indent=1) + "\n", "retraining.json")
            client.set_terminated(run_id)
        return run_id


def _name(role: str, version: str) -> str:
    return f"{role} version {version}" if version else f"no {role}"
