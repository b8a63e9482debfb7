"""What fails is tried again later and later, however long it fails."""

from __future__ import annotations

from app.backoff import pause_before
from app.errors import RegistryUnreachable
from app.standing import Trouble


def test_pauses_double_up_to_a_limit() -> None:
    """The first is the shortest."""
    assert [pause_before(n, 15.0, 100.0) for n in (1, 2, 3, 4, 5)] == [15.0, 30.0, 60.0, 100.0, 100.0]


def test_an_outage_of_days_is_no_other_error() -> None:
    """Two to the power of some thousand looks at a registry is no number any more."""
    trouble: Trouble | None = None
    for _ in range(20_000):
        trouble = Trouble.of(RegistryUnreachable("no answer"), None, trouble)
    assert trouble is not None
    assert (trouble.n_times, pause_before(trouble.n_times, 1.0, 600.0)) == (20_000, 600.0)
