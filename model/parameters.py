"""What `params.yaml` says, checked; with the ranges and meanings of the training parameters."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from model.errors import ParameterInvalid
from model.ranges import check_ranges, choice, explained, make, number, read_sections

PARAMETERS = Path(__file__).with_name("params.yaml")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class TrainingParameters:
    """
    What a person may turn; everything else about the training is fixed.

    Raises
    ------
    ParameterInvalid
        If a value is out of its range.
    """

    max_depth: int = number(int, "levels of a tree", 1, 16)
    learning_rate: float = number(float, "share of each tree's answer that is taken", 1e-4, 1)
    rounds: int = number(int, "at most so many trees; early stopping usually ends sooner", 1, 10_000)
    stopping_rounds: int = number(
        int, "stop after so many rounds without a better figure on the stopping rows", 1, 10_000
    )
    min_child_weight: float = number(float, "least weight of the rows in a leaf", 0, 1e6)
    subsample: float = number(float, "share of the rows that a tree sees", 0.01, 1)
    colsample_bytree: float = number(float, "share of the features that a tree sees", 0.01, 1)
    reg_lambda: float = number(float, "L2 penalty on a leaf's answer", 0, 1e6)
    seed: int = number(int, "start of the random numbers; the same seed gives the same booster", 0, 2**31 - 1)
    device: str = choice("where XGBoost computes", "cpu", "cuda")

    def __post_init__(self) -> None:
        """Refuse what is out of its range."""
        check_ranges(self)

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
        The last month whose data has arrived, such as ``2013-12``.
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
    with explained(path):
        told = read_sections(path)
        data, split = told["data"], told["split"]
        return Parameters(
            until=data["until"],
            stop_from=date.fromisoformat(split["stop_from"]),
            test_from=date.fromisoformat(split["test_from"]),
            train=make(TrainingParameters, told["train"]),
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
