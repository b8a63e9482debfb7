"""A bar where a person watches, lines where nobody does."""

from __future__ import annotations

import io
import sys

import pytest

from model.progress import Progress
from model.tuning.display import Display


class Terminal(io.StringIO):
    """What says of itself that a person watches."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def show(told: io.StringIO) -> None:
    """Two trials, the first of which had ended before."""
    with Display(2, Progress(told)) as display:
        display.begin(1)
        for number in range(1, 2):
            display.show(f"trial {number}, window 1")
            display.say(f"trial {number}: done")
            display.count()


def test_a_pipe_gets_lines_and_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is no place for a bar."""
    told, errors = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    show(told)
    assert [line.partition(" s  ")[2] for line in told.getvalue().splitlines()] == ["trial 1: done"]
    assert errors.getvalue() == ""


def test_a_terminal_gets_a_bar_beside_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, so that what is piped on is not spoilt."""
    told, errors = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stderr", errors)
    show(told)
    assert "trial 1: done" in told.getvalue()
    assert "2/2" in errors.getvalue()
    assert "1/2" in errors.getvalue()
    assert "trial 1, window 1" in errors.getvalue()
