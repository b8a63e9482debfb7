"""Progress is a line a step, at once, and never tells a password."""

from __future__ import annotations

import io
import re

import pytest

from model.progress import Progress


def test_a_step_is_told_with_its_seconds() -> None:
    """Since the start, to a tenth."""
    told = io.StringIO()
    Progress(told).say("reading")
    assert re.fullmatch(r" +0\.\d s  reading\n", told.getvalue())


def test_a_step_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing else is asked for."""
    Progress().say("reading")
    assert capsys.readouterr().out.endswith("s  reading\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("opening http://me:secret@host:5000/x", "opening http://host:5000/x"),
        ("opening postgresql://me:p%40ss@host/db now", "opening postgresql://host/db now"),
        ("opening sqlite:////a/b@c/mlflow.db", "opening sqlite:////a/b@c/mlflow.db"),
        ("models:/flight-delay@champion", "models:/flight-delay@champion"),
    ],
)
def test_credentials_are_not_shown(text: str, shown: str) -> None:
    """An address is told without its user and password; a path keeps its at sign."""
    told = io.StringIO()
    Progress(told).say(text)
    assert told.getvalue().endswith(f"  {shown}\n")
