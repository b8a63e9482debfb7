"""Training parameters have one home: defaults, ranges, options and help come from it."""

from __future__ import annotations

import math
from argparse import ArgumentParser
from dataclasses import fields
from typing import Any

import pytest

from model.errors import ParameterInvalid
from model.parameters import TrainingParameters, add_options, read_options


def make_parser() -> ArgumentParser:
    """A command that has nothing but the training parameters."""
    parser = ArgumentParser()
    add_options(parser)
    return parser


def test_without_options_the_defaults_hold() -> None:
    """The command line adds nothing to the defaults, and takes nothing from them."""
    assert read_options(make_parser().parse_args([])) == TrainingParameters()


def test_every_parameter_has_an_option_with_help_and_default() -> None:
    """What can be turned is told by --help."""
    text = " ".join(make_parser().format_help().split())
    for spec in fields(TrainingParameters):
        assert f"--{spec.name.replace('_', '-')}" in text
        assert f"{spec.metadata['help']} (default: {spec.default})" in text


def test_an_option_sets_its_parameter() -> None:
    """With the type of its default."""
    options = ["--max-depth", "4", "--learning-rate", "0.5", "--device", "cuda", "--rounds", "7"]
    assert read_options(make_parser().parse_args(options)) == TrainingParameters(
        max_depth=4, learning_rate=0.5, device="cuda", rounds=7
    )


def test_xgboost_gets_every_parameter_that_it_knows() -> None:
    """Rounds and stopping are arguments of `xgboost.train`; all others are in its dictionary."""
    names = {spec.name for spec in fields(TrainingParameters)} - {"rounds", "stopping_rounds"}
    parameters = TrainingParameters(max_depth=3, device="cuda").for_booster()
    assert names <= set(parameters)
    assert (parameters["max_depth"], parameters["device"], parameters["tree_method"]) == (3, "cuda", "hist")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_depth", 0), ("max_depth", 17), ("learning_rate", 0), ("learning_rate", math.nan), ("rounds", 0),
        ("subsample", 1.5), ("colsample_bytree", 0), ("min_child_weight", -1), ("reg_lambda", math.inf),
        ("seed", -1), ("device", "tpu"), ("stopping_rounds", 0),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_told(name: str, value: Any) -> None:
    """With the name, the value and what would be right."""
    with pytest.raises(ParameterInvalid, match=rf"^{name} is .*{value}.*; (it must be from|choose one of)"):
        TrainingParameters(**{name: value})
