"""How the time from the signal to the exit is divided."""

from __future__ import annotations

import pytest

from app.drain import Drain


@pytest.mark.parametrize(
    ("grace_s", "deadline_s", "requests_s", "log_s"),
    [(5, 25, 20, 5), (0, 10, 5, 5), (5, 7, 6, 5), (0, 0.2, 0.1, 0.18)],
)
def test_requests_the_log_and_the_exit_have_their_share(
    grace_s: float, deadline_s: float, requests_s: float, log_s: float
) -> None:
    """All of it ends before the deadline, however near that is to the grace."""
    drain = Drain(grace_s, deadline_s)
    assert not drain.has_begun
    drain.begin(with_grace=True)
    assert drain.has_begun
    assert drain.is_in_grace is (grace_s > 0)
    assert (drain.requests_s, drain.log_s, drain.exit_s) == pytest.approx((requests_s, log_s, deadline_s), abs=0.1)


def test_only_the_first_word_counts() -> None:
    """An end that goes on is neither put off nor given a grace."""
    drain = Drain(5, 25)
    drain.begin(with_grace=False)
    drain.begin(with_grace=True)
    assert not drain.is_in_grace


def test_a_grace_can_be_ended() -> None:
    """And nothing else changes."""
    drain = Drain(5, 25)
    drain.begin(with_grace=True)
    drain.end_grace()
    assert not drain.is_in_grace
    assert drain.exit_s == pytest.approx(25, abs=1)


def test_no_time_is_left_and_never_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait for it wait no more."""
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    drain = Drain(1, 2)
    drain.begin(with_grace=True)
    monkeypatch.setattr("time.monotonic", lambda: 200.0)
    assert (drain.requests_s, drain.log_s, drain.exit_s, drain.is_in_grace) == (0, 0, 0, False)
