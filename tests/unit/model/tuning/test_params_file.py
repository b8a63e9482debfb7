"""The best parameters on their way into `params.yaml`."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import ParameterInvalid
from model.parameters import PARAMETERS, read_parameters
from model.tuning.params_file import render_values, write_values
from model.tuning.space import Values, put_values

VALUES: Values = {
    "max_depth": 8,
    "learning_rate": 0.051,
    "min_child_weight": 300.0,
    "subsample": 1.0,
    "colsample_bytree": 0.2,
    "reg_lambda": 0.23,
}


def test_only_the_values_change(tmp_path: Path) -> None:
    """Comments, order, the split and what is not searched stay as they were."""
    file = tmp_path / "params.yaml"
    before = PARAMETERS.read_text(encoding="utf-8").replace("subsample: 0.8", "subsample: 0.8  # not less")
    file.write_text(before, encoding="utf-8")
    write_values(VALUES, file)
    assert read_parameters(file).train == put_values(read_parameters().train, VALUES)
    assert "  subsample: 1.0  # not less\n" in file.read_text(encoding="utf-8")
    lines = zip(before.splitlines(), file.read_text(encoding="utf-8").splitlines(), strict=True)
    assert {old.split(":")[0].strip() for old, new in lines if old != new} == set(VALUES)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_written_otherwise_stays_as_it_is(tmp_path: Path) -> None:
    """Rather than one that says something else."""
    file = tmp_path / "params.yaml"
    text = PARAMETERS.read_text(encoding="utf-8").replace("  max_depth: 5\n", "  ? max_depth\n  : 5\n")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterInvalid, match="write them by hand"):
        write_values(VALUES, file)
    assert file.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [file]


def test_the_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """They can be pasted."""
    assert render_values({"max_depth": 8, "learning_rate": 0.051}) == "train:\n  max_depth: 8\n  learning_rate: 0.051\n"
