"""Lines that services have logged, of all that they have: from files, or from whatever is piped in."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from model.errors import LogUnreadable
from model.period import ALWAYS, Period

STANDARD_INPUT = "-"


@dataclass
class LogReader:
    """
    Reads log files, one after the other.

    Attributes
    ----------
    paths : sequence of str
        Files, compressed if they end with ``.gz``, or ``-`` for standard input.
    n_strange : int
        How many lines were no JSON objects, as other programs in the same container write them.
    first_strange : str
        Where the first of them was.
    """

    paths: Sequence[str]
    n_strange: int = 0
    first_strange: str = ""

    def read(self, dataset: str, period: Period = ALWAYS) -> Iterator[dict[str, Any]]:
        """
        The lines of one dataset and a period, in their order.

        Raises
        ------
        LogUnreadable
            If a file cannot be read, or a line does not say when it was logged.
        """
        for path in self.paths:
            try:
                with _open(path) as file:
                    yield from filter(period.has, self._read_file(path, file, dataset))
            except (KeyError, TypeError, ValueError) as error:
                raise LogUnreadable(f"{path}: a line does not say when it was logged ({error!r})") from None
            except (OSError, EOFError) as error:
                raise LogUnreadable(f"{path} cannot be read: {error}") from None

    def tell_strange(self) -> None:
        """Say to the person who started the command what was left out."""
        if self.n_strange:
            told = f"{self.n_strange} lines are no JSON objects and were left out, the first in {self.first_strange}"
            print(f"note: {told}", file=sys.stderr)

    def _read_file(self, path: str, file: Iterable[bytes], dataset: str) -> Iterator[dict[str, Any]]:
        for number, text in enumerate(file, start=1):
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            if not isinstance(line, dict):
                self.n_strange += 1
                self.first_strange = self.first_strange or f"{path}, line {number}"
            elif line.get("event.dataset") == dataset:
                yield line


def _open(path: str) -> AbstractContextManager[Iterable[bytes]]:
    if path == STANDARD_INPUT:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    return gzip.open(path) if path.endswith(".gz") else open(path, "rb")


def join_parts(lines: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """
    One line for each instance, whose features may stand in several lines that follow one another.

    Parameters
    ----------
    lines : iterable of mapping
        Of the dataset `treeserve.prediction`; the parts of one instance in their order.
    """
    whole: dict[str, Any] | None = None
    for line in lines:
        if not line.get("treeserve.part"):
            if whole is not None:
                yield whole
            whole = {name: dict(value) if isinstance(value, dict) else value for name, value in line.items()}
        elif whole is not None:
            for name, value in line.items():
                if isinstance(value, dict):
                    whole.setdefault(name, {}).update(value)
    if whole is not None:
        yield whole
