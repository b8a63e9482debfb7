"""The options of ``python -m model drift``, which are read without importing anything that takes time."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path


def add_drift_options(parser: ArgumentParser) -> None:
    """Add them to a parser."""
    parser.add_argument(
        "logs", nargs="+", metavar="LOG", help="log files, compressed (.gz) or not; - reads standard input"
    )
    parser.add_argument("--version", help="of the model, where the logs have several")
    parser.add_argument(
        "--since", type=_read_time, metavar="TIME", help="only what was told from then on, such as 2026-11-29"
    )
    parser.add_argument("--until", type=_read_time, metavar="TIME", help="only what was told before")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _read_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time; write 2026-11-29 or 2026-11-29T17:30:00+01:00") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
