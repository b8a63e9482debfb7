"""A stretch of time, as the commands that read logs take it."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Period:
    """Of which lines; both ends are open if None, and the first belongs to it."""

    since: datetime | None = None
    until: datetime | None = None

    def has(self, line: Mapping[str, Any]) -> bool:
        """Whether a line was logged in it."""
        if self.since is None and self.until is None:
            return True
        at = datetime.fromisoformat(line["@timestamp"])
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def __str__(self) -> str:
        """In words."""
        since = f"since {self.since.isoformat()}" if self.since else ""
        until = f"until {self.until.isoformat()}" if self.until else ""
        return " ".join(filter(None, [since, until])) or "of any time"


ALWAYS = Period()


def read_time(text: str) -> datetime:
    """
    An option's time: a date, a time (in UTC unless it says otherwise), or how long ago.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none of them.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(
            f"{text!r} is no time; write 2026-11-29 or 2026-11-29T17:30:00+01:00, or 36h or 7d for so long ago"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
