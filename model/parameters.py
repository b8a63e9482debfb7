"""The training parameters: each one's default, range and help text have their only home here."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field, fields
from typing import Any

from model.errors import ParameterInvalid


def _number(default: float, meaning: str, minimum: float, maximum: float) -> Any:
    return field(default=default, metadata={"help": meaning, "minimum": minimum, "maximum": maximum})


@dataclass(frozen=True)
class TrainingParameters:
    """
    What a person may turn; everything else about the training is fixed.

    Raises
    ------
    ParameterInvalid
        If a value is out of its range.
    """

    max_depth: int = _number(5, "levels of a tree", 1, 16)
    learning_rate: float = _number(0.15, "share of each tree's answer that is taken", 1e-4, 1)
    rounds: int = _number(800, "at most so many trees; early stopping usually ends sooner", 1, 10_000)
    stopping_rounds: int = _number(40, "stop after so many rounds without a better AUC on the stopping rows", 1, 10_000)
    min_child_weight: float = _number(20.0, "least weight of the rows in a leaf", 0, 1e6)
    subsample: float = _number(0.8, "share of the rows that a tree sees", 0.01, 1)
    colsample_bytree: float = _number(0.4, "share of the features that a tree sees", 0.01, 1)
    reg_lambda: float = _number(1.0, "L2 penalty on a leaf's answer", 0, 1e6)
    seed: int = _number(2013, "start of the random numbers; the same seed gives the same booster", 0, 2**31 - 1)
    device: str = field(default="cpu", metadata={"help": "where XGBoost computes", "choices": ("cpu", "cuda")})

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if "choices" in spec.metadata:
                if value not in spec.metadata["choices"]:
                    raise ParameterInvalid(f"{spec.name} is {value!r}; choose one of {spec.metadata['choices']}")
            else:
                low, high = spec.metadata["minimum"], spec.metadata["maximum"]
                if not low <= value <= high:  # nor is NaN
                    raise ParameterInvalid(f"{spec.name} is {value}; it must be from {low:g} to {high:g}")

    def for_booster(self) -> dict[str, Any]:
        """Return the parameters that `xgboost.train` takes as a dictionary."""
        return {
            "objective": "binary:logistic",
            "eval_metric": "auc",
            "tree_method": "hist",
            "device": self.device,
            "seed": self.seed,
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "reg_lambda": self.reg_lambda,
        }


def add_options(parser: ArgumentParser) -> None:
    """Give a command one option for each training parameter."""
    for spec in fields(TrainingParameters):
        parser.add_argument(
            "--" + spec.name.replace("_", "-"),
            type=type(spec.default),
            default=spec.default,
            choices=spec.metadata.get("choices"),
            metavar=None if "choices" in spec.metadata else "N" if isinstance(spec.default, int) else "X",
            help=f"{spec.metadata['help']} (default: %(default)s)",
        )


def read_options(options: Namespace) -> TrainingParameters:
    """
    Take the training parameters out of a command's parsed options.

    Raises
    ------
    ParameterInvalid
        If a value is out of its range.
    """
    return TrainingParameters(**{spec.name: getattr(options, spec.name) for spec in fields(TrainingParameters)})
