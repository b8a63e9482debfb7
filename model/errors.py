"""
What can stop a command that the person who started it can mend.

TrainingError
├── ParameterInvalid   a training parameter out of its range
├── DataInvalid        a table is not what it should be; names file, column and row
├── DeviceMissing      no GPU, or an XGBoost that cannot use one
├── RegistryUnusable   MLflow's store does not answer, or is not where it was
├── ClusterUnusable    no Dask cluster answers, its workers differ, or too many of them were lost
├── LogUnreadable      a log file is not there, or not as a service writes it
├── NothingObserved    the logs do not have what is asked for
├── GateImpossible     a model version cannot be judged
├── PromotionRefused   an alias may not be moved as was asked
└── RetrainingRuns     another retraining is at work
"""

from __future__ import annotations


class TrainingError(Exception):
    """Base of what ends `python -m model` in one line; the text says what to do next."""


class ParameterInvalid(TrainingError):
    """A training parameter is out of its range."""


class DataInvalid(TrainingError):
    """
    A table cannot be trained on.

    Parameters
    ----------
    problem : str
        What is wrong, and what would be right.
    file : str
        Name of the table's file.
    column : str or None
    row : int or None
        As in the CSV file, where the header is row 1; of a Parquet file the first is row 0.
    """

    def __init__(self, problem: str, file: str, column: str | None = None, row: int | None = None) -> None:
        place = file
        if column is not None:
            place += f", column {column!r}"
        if row is not None:
            place += f", row {row}"
        super().__init__(f"{place}: {problem}")
        self.problem = problem
        self.file = file
        self.column = column
        self.row = row

    def __reduce__(self) -> tuple[type[DataInvalid], tuple[str, str, str | None, int | None]]:
        """Let another process make the same of it; it would have given the whole text as the problem."""
        return type(self), (self.problem, self.file, self.column, self.row)


class DeviceMissing(TrainingError):
    """The device that was asked for is not there."""


class RegistryUnusable(TrainingError):
    """Nothing can be logged or registered."""


class ClusterUnusable(TrainingError):
    """Nothing can be given out to a Dask cluster, or too many of its workers were lost."""


class LogUnreadable(TrainingError):
    """A log file cannot be read, or is not as a service writes it."""


class NothingObserved(TrainingError):
    """The logs do not have what is asked for."""


class GateImpossible(TrainingError):
    """A model version cannot be judged: there is nothing to judge it by, or it cannot answer that."""


class PromotionRefused(TrainingError):
    """An alias may not be moved as was asked."""


class RetrainingRuns(TrainingError):
    """Another retraining of the same model is at work."""
