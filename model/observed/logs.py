"""The logs of services, wherever they are: as files, or in Elasticsearch."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from app.ecs import FEEDBACK_DATASET, PREDICTION_DATASET
from app.observed.bins import PROFILE_DATASET
from model.observed.log_lines import LogReader
from model.observed.outcomes import Feedback, Joined, join, settle
from model.observed.period import Period


class Logs(Protocol):
    """What the two have in common."""

    def profile_lines(self, period: Period) -> Iterator[Mapping[str, Any]]:
        """What processes have counted in a period, for `model.observed.drift`; raises `LogUnreadable`."""

    def join_outcomes(self, period: Period) -> tuple[Feedback, Joined]:
        """The outcomes that came in a period, with their predictions, whenever they were asked."""


class LogFiles:
    """Files, as `LogReader` has them."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    def profile_lines(self, period: Period) -> Iterator[Mapping[str, Any]]:
        """Those of the files, and a note of what is none."""
        reader = LogReader(self._paths)
        yield from reader.read(PROFILE_DATASET, period)
        reader.tell_strange()

    def join_outcomes(self, period: Period) -> tuple[Feedback, Joined]:
        """Read the files twice: predictions are kept only where there is feedback."""
        reader = LogReader(self._paths)
        reader.check_files()
        feedback = settle(reader.read(FEEDBACK_DATASET, period))
        reader.tell_strange()
        return feedback, join(feedback, LogReader(self._paths).read(PREDICTION_DATASET))


class LogStreams:
    """The data streams of Elasticsearch."""

    def __init__(self, url: str) -> None:
        # Not before it is wanted, for it takes half a second.
        from model.observed.log_index import LogIndex

        self.index = LogIndex(url)

    def profile_lines(self, period: Period) -> Iterator[Mapping[str, Any]]:
        """Sums that Elasticsearch makes."""
        return self.index.profile_lines(period)

    def join_outcomes(self, period: Period) -> tuple[Feedback, Joined]:
        """Ask for the predictions of what there is feedback to."""
        feedback = settle(self.index.feedback_lines(period))
        return feedback, join(feedback, self.index.prediction_lines(feedback.outcomes))


def open_logs(options: Namespace) -> LogFiles | LogStreams:
    """Those that a command's options name; raises `LogUnreadable`."""
    return LogStreams(options.elasticsearch) if options.elasticsearch else LogFiles(options.logs)
