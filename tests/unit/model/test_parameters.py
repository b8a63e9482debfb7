"""Training parameters have one home: defaults, ranges, options and help come from it."""

from __future__ import annotations

import math
import re
from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from model.errors import ParameterInvalid
from model.parameters import PARAMETERS, TrainingParameters, add_options, read_options, read_parameters
from model.rules import read_gate_rules
from tests.parameters import make_training_parameters

pytestmark = pytest.mark.example  # of the days that `params.yaml` has for it


def make_parser() -> ArgumentParser:
    """A command that has nothing but the training parameters."""
    parser = ArgumentParser()
    add_options(parser)
    return parser


def test_without_options_the_defaults_hold() -> None:
    """The command line adds nothing to the defaults, and takes nothing from them."""
    assert read_options(make_parser().parse_args([])) == make_training_parameters()


def test_every_parameter_has_an_option_with_help_and_default() -> None:
    """What can be turned is told by --help."""
    text = " ".join(make_parser().format_help().split())
    for spec in fields(TrainingParameters):
        assert f"--{spec.name.replace('_', '-')}" in text
        assert f"{spec.metadata['help']} (default: {getattr(make_training_parameters(), spec.name)})" in text


def test_an_option_sets_its_parameter() -> None:
    """With the type of its default."""
    options = ["--max-depth", "4", "--learning-rate", "0.5", "--device", "cuda", "--rounds", "7"]
    assert read_options(make_parser().parse_args(options)) == make_training_parameters(
        max_depth=4, learning_rate=0.5, device="cuda", rounds=7
    )


def test_the_file_is_what_is_used(tmp_path: Path) -> None:
    """Whatever it says, and not what some code says."""
    text = PARAMETERS.read_text().replace("max_depth: 5", "max_depth: 9").replace('"2013-12"', '"2013-10"')
    (tmp_path / "params.yaml").write_text(text)
    read = read_parameters(tmp_path / "params.yaml")
    assert (read.train.max_depth, read.until) == (9, "2013-10")
    assert read.of_model()["stop_from"] == "2013-09-01"


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("max_depth: 5", "max_depth: 99", "params.yaml: max_depth is 99; it must be from 1 to 16"),
        ("max_depth: 5", "max_depth: five", "params.yaml: max_depth is 'five', which is no int"),
        ("max_depth: 5", "max_depth: 5.5", "max_depth is 5.5, which is no int"),
        ("max_depth: 5", "max_depth: yes", "max_depth is True, which is no int"),
        ("max_depth: 5", "depth: 5", "there is no parameter depth"),
        ("  seed: 2013\n", "", "params.yaml says nothing of 'seed'"),
        ("data:", "dates:", "params.yaml says nothing of 'data'"),
        ('"2013-12"', "2013", "until is 2013; it must be a month such as 2013-12"),
        ('"2013-12"', '"2013-13"', "until is '2013-13'; it must be a month"),
        ('"2013-11-01"', '"2013-08-01"', "test_from is 2013-08-01; it must be later than stop_from, 2013-09-01"),
        ('"2013-11-01"', '"soon"', "cannot be read: Invalid isoformat string: 'soon'"),
        ("data:", "data: [", "cannot be read: "),
    ],
)
def test_what_is_wrong_in_the_file_is_told(tmp_path: Path, was: str, now: str, told: str) -> None:
    """By its name, with the value and what would be right."""
    text = PARAMETERS.read_text()
    assert was in text
    (tmp_path / "params.yaml").write_text(text.replace(was, now))
    with pytest.raises(ParameterInvalid, match=re.escape(told)):
        read_parameters(tmp_path / "params.yaml")


def test_xgboost_gets_every_parameter_that_it_knows() -> None:
    """Rounds and stopping are arguments of `xgboost.train`; all others are in its dictionary."""
    names = {spec.name for spec in fields(TrainingParameters)} - {"rounds", "stopping_rounds"}
    parameters = make_training_parameters(max_depth=3, device="cuda").for_booster()
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
        make_training_parameters(**{name: value})


def test_the_rules_of_the_gate_are_read_and_checked(tmp_path: Path) -> None:
    """A confidence of 95 is a slip, and not a very strict gate."""
    assert read_gate_rules().confidence == 0.95
    file = tmp_path / "params.yaml"
    file.write_text(PARAMETERS.read_text().replace("confidence: 0.95", "confidence: 95"))
    with pytest.raises(ParameterInvalid, match=r"params.yaml: confidence is 95.0; it must be from 0.5 to 0.9999"):
        read_gate_rules(file)
