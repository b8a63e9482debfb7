"""Shows how far a search is: a bar where a person watches, and else a line for each trial."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from model.progress import Progress


class Display:
    """
    A bar on standard error if that is a terminal; else lines of `Progress`.

    Parameters
    ----------
    n_trials : int
        How many there are to be.
    progress : Progress
    """

    def __init__(self, n_trials: int, progress: Progress) -> None:
        self._progress = progress
        self._bar = tqdm(
            total=n_trials,
            unit="trial",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def begin(self, n_ended: int) -> None:
        """Begin with trials that had ended before; how long the others take is reckoned without them."""
        self._bar.initial = self._bar.n = n_ended
        self._bar.refresh()

    def show(self, doing: str) -> None:
        """Say beside the bar what goes on at this moment; too much for a line of its own."""
        self._bar.set_postfix_str(doing)

    def say(self, step: str) -> None:
        """Say something that stays to be read."""
        if self._bar.disable:
            self._progress.say(step)
        else:
            self._bar.clear()
            self._progress.say(step)
            self._bar.refresh()

    def count(self) -> None:
        """Count one trial more that has ended."""
        self._bar.update()
