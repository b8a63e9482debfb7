"""A project whose data is one CSV table: what then needs no code of one's own."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from pathlib import Path

import numpy as np
import pandas as pd

from model.datasets.dataset import Dataset
from model.datasets.validation import Table, read_table
from model.errors import DataInvalid
from model.progress import Progress
from model.project import Project


class SingleTable(Project):
    """
    A table whose rows each have a moment, and arrive month by month.

    Attributes
    ----------
    table : Table
        Its columns, and what they hold.
    moment : str
        The column, a moment, that says when a row was: in UTC, or on the clock of `time_zone`.
    """

    table: Table
    moment: str

    @abstractmethod
    def find(self) -> tuple[str, Path]:
        """
        Say what the published data is called, with its version, and which CSV file it is.

        Raises
        ------
        DataInvalid
            If it is not there.
        """

    @abstractmethod
    def build(self, rows: pd.DataFrame) -> Dataset:
        """
        Make instances with outcomes.

        Parameters
        ----------
        rows : pandas.DataFrame, shape (n_rows, n_columns)
            Checked, in the order of their moments; with the column ``moment``, which has `time_zone`.
        """

    def name_source(self, folder: Path | None) -> str:
        """The published name, or the folder."""
        return self.find()[0] if folder is None else str(folder)

    def fetch(self, folder: Path, until: str) -> list[str]:
        """Write a file for each month, value by value as published; nothing else stays in the folder."""
        _, published = self.find()
        months = _months(self._read_file(published))
        there = sorted(set(months))
        if until not in there:
            raise DataInvalid(f"it has no rows of {until}; it ends with {there[-1]}", published.name)
        as_text = pd.read_csv(published, dtype=str, keep_default_na=False, skip_blank_lines=False)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        arrived = [month for month in there if month <= until]
        for month in arrived:
            of_month = as_text.loc[(months == month).to_numpy()]
            of_month.to_csv(folder / self._file_of(month), index=False, lineterminator="\n")
        return arrived

    def count(self, folder: Path) -> pd.DataFrame:
        """Rows of each month."""
        months = _months(self._read_all(folder))
        return months.value_counts().sort_index().rename_axis("month").rename("rows").reset_index()

    def read(self, folder: Path | None, until: str, progress: Progress) -> Dataset:
        """Check the rows and make instances of those that have arrived: an outcome may lie in a later row."""
        rows = self._read_all(folder)
        rows = rows.loc[_months(rows) <= until].reset_index(drop=True)
        dataset = self.build(rows)
        progress.say(f"{len(rows):,} rows, {dataset.n_rows:,} instances with an outcome")
        return dataset

    def _read_all(self, folder: Path | None) -> pd.DataFrame:
        """All rows by their moments; of equal ones, in their order in the files."""
        files = [self.find()[1]] if folder is None else sorted(folder.glob(self._file_of("????-??")))
        if not files:
            raise DataInvalid(f"there are no such files in {folder}", self._file_of("YYYY-MM"))
        rows = pd.concat([self._read_file(file) for file in files], ignore_index=True)
        return rows.sort_values("moment", kind="stable", ignore_index=True)

    def _read_file(self, path: Path) -> pd.DataFrame:
        rows, _ = read_table(path.parent, self.table, path.name)
        told = rows[self.moment].dt
        if told.tz is None:
            # An hour that comes twice is taken for the first, and one that never comes for the next.
            first = np.ones(len(rows), dtype=bool)
            return rows.assign(moment=told.tz_localize(self.time_zone, ambiguous=first, nonexistent="shift_forward"))
        return rows.assign(moment=told.tz_convert(self.time_zone))

    def _file_of(self, month: str) -> str:
        return f"{self.table.name}-{month}.csv"


def _months(rows: pd.DataFrame) -> pd.Series:
    months: pd.Series = rows["moment"].dt.strftime("%Y-%m")
    return months
