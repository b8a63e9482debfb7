"""How long to wait before something is tried again that has failed: twice as long each time, up to a limit."""

from __future__ import annotations

# Beyond so many doublings of a second a pause is years; and a power of thousands is no float any more.
_MOST_DOUBLINGS = 30


def pause_before(n_times: int, first_s: float, longest_s: float) -> float:
    """
    The pause after something has failed.

    Parameters
    ----------
    n_times : int
        How often it has failed in a row, from 1 on; an outage of hours makes thousands.
    first_s, longest_s : float
        The pause after the first time, and what none is longer than.

    Returns
    -------
    float
        Seconds.
    """
    return min(first_s * 2.0 ** min(n_times - 1, _MOST_DOUBLINGS), longest_s)
