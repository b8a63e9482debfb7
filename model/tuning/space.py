"""Which training parameters are searched, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution, distribution_to_json

from model.parameters import TrainingParameters

Values = dict[str, int | float]

# Bounds have two digits, as `round_values` leaves them. Where the best lie at a wall, `plots/values.png` shows it.
SPACE: Mapping[str, BaseDistribution] = {
    "max_depth": IntDistribution(3, 10),
    "learning_rate": FloatDistribution(0.02, 0.3, log=True),
    "min_child_weight": FloatDistribution(1.0, 300.0, log=True),
    "subsample": FloatDistribution(0.4, 1.0),
    "colsample_bytree": FloatDistribution(0.2, 1.0),
    "reg_lambda": FloatDistribution(0.1, 100.0, log=True),
}


def describe_space() -> dict[str, str]:
    """Each searched parameter's range, as Optuna writes it."""
    return {name: distribution_to_json(distribution) for name, distribution in SPACE.items()}


def round_values(values: Mapping[str, int | float]) -> Values:
    """
    Leave two digits of each value.

    A person can read them and write them into `params.yaml`, and what differs in the third digit is the same recipe.
    """
    return {name: value if isinstance(value, int) else float(f"{value:.2g}") for name, value in values.items()}


def take_values(parameters: TrainingParameters) -> Values:
    """Those of all training parameters that are searched."""
    return {name: getattr(parameters, name) for name in SPACE}


def put_values(parameters: TrainingParameters, values: Mapping[str, int | float]) -> TrainingParameters:
    """Training parameters with other values of those that are searched."""
    return TrainingParameters(**{**asdict(parameters), **values})
