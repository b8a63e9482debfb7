"""The command ``python -m benchmarks peers``."""

from __future__ import annotations

import sys

from benchmarks.peers.catalogue import ALWAYS, OWN, PEERS, SAMPLED
from benchmarks.peers.comparison import FULL, QUICK, Comparison, compare
from benchmarks.peers.environments import BUILD
from benchmarks.peers.page import draw_chart, write_page

_USAGE_ERROR = 2


def run(*, is_quick: bool, only: str | None) -> int:
    """
    Compare the service with the other servers; print what was found, and write it with a chart to ``build/peers/``.

    Parameters
    ----------
    is_quick : bool
    only : str or None
        Names of the other servers with commas between them; None is all.

    Returns
    -------
    int
        0; 1 if the service itself failed or was wrong; 2 for an unknown name.

    Raises
    ------
    LoadFailed
        Without wrk.
    """
    names = None if only is None else only.split(",")
    known = [peer.name for peer in PEERS if peer.name not in ALWAYS]
    if unknown := set(names or []).difference(known):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return _USAGE_ERROR
    comparison = compare(QUICK if is_quick else FULL, names)
    page, chart = BUILD / "peers.md", BUILD / "peers.png"
    text = write_page(comparison)
    page.write_text(text, encoding="utf-8")
    draw_chart(comparison, chart)
    print(f"\n{text}\nWritten to {page} and {chart}")
    return 0 if all(_is_right(comparison, name) for name in (OWN, SAMPLED)) else 1


def _is_right(comparison: Comparison, name: str) -> bool:
    verdicts = [visit.verdict for visit in comparison.visits(name)]
    return comparison.failure(name) is None and all(verdict and not verdict.n_wrong for verdict in verdicts)
