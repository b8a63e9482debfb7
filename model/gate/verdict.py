"""What the gate has found: each check with its figures, as text, as a table, and as MLflow's tags and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model.registry.versions import MOST_CHARACTERS

PASSED, REFUSED = "passed", "refused"
# Tags of a model version.
VERDICT_TAG, AGAINST_TAG, WINDOW_TAG, REASONS_TAG = "gate", "gate.champion", "gate.window", "gate.reasons"
RULES_TAG = "gate.rules"


@dataclass(frozen=True)
class Check:
    """
    One question to a challenger.

    Attributes
    ----------
    name : str
    has_passed : bool
    seen : str
        What was found, with figures and bounds, in a sentence.
    figures : mapping of str to float
        The same for machines.
    """

    name: str
    has_passed: bool
    seen: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """
    On one challenger.

    Attributes
    ----------
    challenger, champion : str
        The versions; the champion's is empty where there was none, and nothing to compare with.
    window : str
        Of when the rows are that both were asked, such as ``2013-12-04 to 2013-12-31``.
    n_rows : int
    checks : sequence of Check
    rules : str
        A digest of the rules by which it was judged.
    """

    challenger: str
    champion: str
    window: str
    n_rows: int
    checks: Sequence[Check]
    rules: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether every check has."""
        return all(check.has_passed for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """What stands against it."""
        return [f"{check.name}: {check.seen}" for check in self.checks if not check.has_passed]

    @property
    def outcome(self) -> str:
        """In a word."""
        return PASSED if self.has_passed else REFUSED

    def to_markdown(self) -> str:
        """A table for a person, as MLflow shows descriptions."""
        against = f" against version {self.champion}" if self.champion else ", with no champion to compare with"
        rows = [f"| {check.name} | {'yes' if check.has_passed else '**no**'} | {check.seen} |" for check in self.checks]
        return "\n".join(
            [
                f"**Gate: {self.outcome}**{against}, on {self.n_rows:,} rows of {self.window}.",
                "",
                "| | passed | seen |",
                "|---|---|---|",
                *rows,
            ]
        )

    def to_tags(self) -> dict[str, str]:
        """Tags of the model version, the verdict itself last: whoever finds that one finds the others."""
        return {
            AGAINST_TAG: self.champion,
            WINDOW_TAG: self.window,
            RULES_TAG: self.rules,
            REASONS_TAG: "; ".join(self.reasons)[:MOST_CHARACTERS],
            VERDICT_TAG: self.outcome,
        }

    def to_metrics(self) -> dict[str, float]:
        """Metrics of the run that the version comes from."""
        return {
            f"gate_{name}": value
            for check in self.checks
            for name, value in check.figures.items()
            if not math.isnan(value)  # which MLflow's databases do not have
        }

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "verdict": self.outcome,
            "challenger": self.challenger,
            "champion": self.champion,
            "window": self.window,
            "rows": self.n_rows,
            "checks": [
                {"name": check.name, "passed": check.has_passed, "seen": check.seen, "figures": dict(check.figures)}
                for check in self.checks
            ],
        }
