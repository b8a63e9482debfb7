"""The rules by which a model version is made and takes another's place, as `params.yaml` has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.parameters import PARAMETERS
from model.ranges import check_ranges, number, read_section


@dataclass(frozen=True)
class GateRules:
    """
    When a challenger may take the champion's place.

    Raises
    ------
    ParameterInvalid
        If a value is out of its range.
    """

    window_days: int = number(int, "days of the newest labelled rows, on which the two are compared", 1, 366)
    confidence: float = number(float, "probability that the challenger is better, by the bootstrap", 0.5, 0.9999)
    least_gain: float = number(float, "by which its headline metric must be better at that confidence", 0, 1e6)
    calibration_error: float = number(float, "largest that is calibrated", 0, 1e6)
    calibration_loss: float = number(float, "by which it may be worse calibrated than the champion", 0, 1e6)
    slice_rows: int = number(int, "rows of a slice that is looked at, at least", 1, 1_000_000_000)
    slice_loss: float = number(float, "by which the headline metric may be worse in a slice", 0, 1e6)
    feature_share: float = number(float, "of the model's knowledge that one feature may have", 0, 1e6)
    prediction_time_us: float = number(float, "of one instance at most, from bytes to the answer", 0.1, 1e9)

    def __post_init__(self) -> None:
        """Refuse what is out of its range."""
        check_ranges(self)


def read_gate_rules(path: Path = PARAMETERS) -> GateRules:
    """
    Read those of a file such as `params.yaml`.

    Raises
    ------
    ParameterInvalid
    """
    return read_section(GateRules, "gate", path)


@dataclass(frozen=True)
class RetrainingRules:
    """
    When a new version is trained, and when it is promoted.

    Raises
    ------
    ParameterInvalid
        If a value is out of its range.
    """

    stop_days: int = number(int, "days before the gate's window, whose rows say when to stop growing trees", 1, 366)
    psi: float = number(float, "of a feature or the prediction, from which on it has drifted", 0, 100)
    metric_loss: float = number(float, "by which the headline metric may fall below the champion's own test", 0, 1e6)
    age_days: int = number(int, "that outcomes may be younger than what the champion was fitted on", 1, 10_000)
    least_rows: int = number(int, "outcomes, or observations, below which nothing is said", 1, 1_000_000_000)
    shadow_days: int = number(int, "that a challenger may shadow without a decision", 1, 10_000)

    def __post_init__(self) -> None:
        """Refuse what is out of its range."""
        check_ranges(self)


def read_retraining_rules(path: Path = PARAMETERS) -> RetrainingRules:
    """
    Read those of a file such as `params.yaml`.

    Raises
    ------
    ParameterInvalid
    """
    return read_section(RetrainingRules, "retrain", path)
