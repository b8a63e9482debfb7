"""Months of flights arrive: out of the published tables, which have a whole year, into a file for each month."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from model.errors import DataInvalid
from model.flights.tables import FLIGHTS, PLANES, WEATHER, WHOLE_FILES, DataSource, month_file, months_of


def fetch(source: DataSource, folder: Path, until: str) -> list[str]:
    """
    Write the months that have arrived, value by value as they were published; nothing else stays in the folder.

    Parameters
    ----------
    source : DataSource
        Of whole tables.
    folder : pathlib.Path
    until : str
        The last month, such as ``2013-12``.

    Returns
    -------
    list of str
        The months.

    Raises
    ------
    DataInvalid
        If a file cannot be read, or the flights end before that month.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    months: list[str] = []
    for table in (FLIGHTS, WEATHER):
        rows = _read_as_text(source.folder / WHOLE_FILES[table.name])
        of_month = rows.groupby(months_of(rows))
        there = sorted(str(month) for month in of_month.groups)
        if until not in there:
            raise DataInvalid(f"it has no rows of {until}; it ends with {there[-1]}", WHOLE_FILES[table.name])
        months = [month for month in there if month <= until]
        for month in months:
            of_month.get_group(month).to_csv(folder / month_file(table, month), index=False, lineterminator="\n")
    shutil.copyfile(source.folder / WHOLE_FILES[PLANES.name], folder / WHOLE_FILES[PLANES.name])
    return months


def _read_as_text(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataInvalid(f"it cannot be read: {error}", path.name) from None
