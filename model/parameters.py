"""What `params.yaml` says, checked; with the ranges and meanings of the training parameters."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from model.errors import ParameterInvalid

PARAMETERS = Path(__file__).with_name("params.yaml")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def _number(kind: type, meaning: str, minimum: float, maximum: float) -> Any:
    return field(metadata={"type": kind, "help": meaning, "minimum": minimum, "maximum": maximum})


def _choice(meaning: str, *choices: str) -> Any:
    return field(metadata={"type": str, "help": meaning, "choices": choices})


@dataclass(frozen=True)
class TrainingParameters:
    """
    What a person may turn; everything else about the training is fixed.

    Raises
    ------
    ParameterInvalid
        If a value is out of its range.
    """

    max_depth: int = _number(int, "levels of a tree", 1, 16)
    learning_rate: float = _number(float, "share of each tree's answer that is taken", 1e-4, 1)
    rounds: int = _number(int, "at most so many trees; early stopping usually ends sooner", 1, 10_000)
    stopping_rounds: int = _number(
        int, "stop after so many rounds without a better figure on the stopping rows", 1, 10_000
    )
    min_child_weight: float = _number(float, "least weight of the rows in a leaf", 0, 1e6)
    subsample: float = _number(float, "share of the rows that a tree sees", 0.01, 1)
    colsample_bytree: float = _number(float, "share of the features that a tree sees", 0.01, 1)
    reg_lambda: float = _number(float, "L2 penalty on a leaf's answer", 0, 1e6)
    seed: int = _number(int, "start of the random numbers; the same seed gives the same booster", 0, 2**31 - 1)
    device: str = _choice("where XGBoost computes", "cpu", "cuda")

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
        """Return what `xgboost.train` is told, beside what its task says."""
        return {
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


@dataclass(frozen=True)
class Parameters:
    """
    All that a model is made with.

    Attributes
    ----------
    until : str
        The last month whose flights have arrived, such as ``2013-12``.
    stop_from, test_from : datetime.date
        From which day on rows say when to stop, and from which on they are kept for measuring.
    train : TrainingParameters
    """

    until: str
    stop_from: date
    test_from: date
    train: TrainingParameters

    def __post_init__(self) -> None:
        """Refuse what makes no split."""
        if not _MONTH.fullmatch(str(self.until)):
            raise ParameterInvalid(f"until is {self.until!r}; it must be a month such as 2013-12")
        if not self.stop_from < self.test_from:
            raise ParameterInvalid(f"test_from is {self.test_from}; it must be later than stop_from, {self.stop_from}")

    def of_model(self) -> dict[str, int | float | str]:
        """Those that a model depends on, given its data."""
        return asdict(self.train) | {
            "stop_from": self.stop_from.isoformat(),
            "test_from": self.test_from.isoformat(),
        }


def read_parameters(path: Path = PARAMETERS) -> Parameters:
    """
    Read a file such as `params.yaml`.

    Raises
    ------
    ParameterInvalid
        If it is not such a file, or a value is not what it has to be.
    """
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        data, split, train = told["data"], told["split"], told["train"]
        return Parameters(
            until=data["until"],
            stop_from=date.fromisoformat(split["stop_from"]),
            test_from=date.fromisoformat(split["test_from"]),
            train=_make_training_parameters(train),
        )
    except ParameterInvalid as error:
        raise ParameterInvalid(f"{path.name}: {error}") from None
    except KeyError as error:
        raise ParameterInvalid(f"{path.name} says nothing of {error}") from None
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ParameterInvalid(f"{path} cannot be read: {error}") from None


def _make_training_parameters(told: Mapping[str, Any]) -> TrainingParameters:
    if unknown := set(told) - {spec.name for spec in fields(TrainingParameters)}:
        raise ParameterInvalid(f"there is no training parameter {min(unknown)}")
    for spec in fields(TrainingParameters):
        kind, value = spec.metadata["type"], told[spec.name]
        if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
            raise ParameterInvalid(f"{spec.name} is {value!r}, which is no {kind.__name__}")
    return TrainingParameters(
        **{spec.name: spec.metadata["type"](told[spec.name]) for spec in fields(TrainingParameters)}
    )


def add_options(parser: ArgumentParser) -> None:
    """Give a command one option for each training parameter; `params.yaml` has the defaults."""
    defaults = read_parameters().train
    for spec in fields(TrainingParameters):
        parser.add_argument(
            "--" + spec.name.replace("_", "-"),
            type=spec.metadata["type"],
            default=getattr(defaults, spec.name),
            choices=spec.metadata.get("choices"),
            metavar={int: "N", float: "X", str: None}[spec.metadata["type"]],
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
