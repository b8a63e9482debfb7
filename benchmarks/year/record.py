"""What is kept of the year: figures by month, what retraining decided, how many requests failed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figures:
    """
    Of one model's predictions in a month.

    Attributes
    ----------
    auc, calibration_error : float
        By the outcomes that came later.
    psi_prediction, psi_features : float
        Against what the model that answered was fitted on; of the features the mean.
    versions : list of str
        Which answered.
    """

    auc: float
    calibration_error: float
    psi_prediction: float
    psi_features: float
    versions: list[str]


@dataclass(frozen=True)
class Month:
    """
    One month.

    Attributes
    ----------
    name : str
        Such as ``2013-03``.
    since, until : str
        The window of the log that it wrote, ISO 8601.
    n_flights : int
    base_rate : float
        How many were late.
    n_unknown : int
        Flights to a destination that the model which answered did not know.
    retrained, never : Figures
        Of the model that is kept up to date, and of the one that is not.
    """

    name: str
    since: str
    until: str
    n_flights: int
    base_rate: float
    n_unknown: int
    retrained: Figures
    never: Figures


@dataclass(frozen=True)
class Event:
    """What a retraining decided, if it decided anything, on which day of the year that is replayed."""

    day: str
    outcome: str
    version: str
    why: str


@dataclass
class Record:
    """The year."""

    months: list[Month] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    n_requests: int = 0
    failures: list[str] = field(default_factory=list)
    n_outcomes: int = 0
    took_s: float = 0.0

    def write(self, file: Path) -> None:
        """Keep it as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Record:
        """Take it from where it was kept."""
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        months = [
            Month(**{**month, "retrained": Figures(**month["retrained"]), "never": Figures(**month["never"])})
            for month in told["months"]
        ]
        return cls(**{**told, "months": months, "events": [Event(**event) for event in told["events"]]})
