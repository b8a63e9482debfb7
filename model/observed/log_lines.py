"""Lines that services have logged, of all that they have: from files, or from whatever is piped in."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from model.errors import LogUnreadable, ParameterInvalid
from model.observed.period import ALWAYS, Period

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

    def lines_with(self, dataset: str, fields: Collection[str], values: Collection[str]) -> Iterator[Mapping[str, Any]]:
        """The lines of a dataset that have one of some values in one of some fields."""
        return (line for line in self.read(dataset) if any(line.get(field) in values for field in fields))

    def check_files(self) -> None:
        """
        Make sure that the logs can be read twice.

        Raises
        ------
        ParameterInvalid
            If one is no file, as standard input and what a shell pipes in are not.
        """
        for path in self.paths:
            if path == STANDARD_INPUT or (os.path.exists(path) and not os.path.isfile(path)):
                raise ParameterInvalid(f"{path}: the logs are read twice; write what is piped in into a file first")

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


def join_parts(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    One line for each instance, whose features may stand in several lines.

    Parameters
    ----------
    lines : iterable of mapping
        Of the dataset `treeserve.prediction`; the parts of one instance in their order, others may come in between.

    Raises
    ------
    LogUnreadable
        If a line is not as a service writes it.
    """
    whole: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        try:
            key = line["http.request.id"], line["treeserve.request.instance"]
        except KeyError as error:
            raise LogUnreadable(f"a prediction's line is not as a service writes it ({error!r})") from None
        if not line.get("treeserve.part"):
            whole[key] = {name: dict(value) if isinstance(value, dict) else value for name, value in line.items()}
        elif key in whole:
            for name, value in line.items():
                if isinstance(value, dict):
                    whole[key].setdefault(name, {}).update(value)
    return list(whole.values())
