"""
Reads a CSV file and checks every value in it against what its column should hold.

What is wrong is told with file, column and row, as a person finds it in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.errors import DataInvalid

Kind = Literal["number", "integer", "clock", "text", "moment"]
_SOME_MOMENT = pd.Timestamp("2013-01-31T13:00:00")
_HEADER_ROW = 1
_HIGHEST_MINUTE = 59
_MINUTES_IN = 100  # of 1305, a clock time written without its colon


@dataclass(frozen=True)
class Column:
    """
    What a column holds.

    Attributes
    ----------
    name : str
    kind : {"number", "integer", "clock", "text", "moment"}
        A clock is a time of day such as 1305 for 13:05; a moment is written as `format` says.
    minimum, maximum : float
        Of a number, an integer or a clock, both included.
    pattern : str or None
        Regular expression that a whole text must match.
    codes : frozenset of str or None
        The only texts there are.
    may_be_missing : bool
        Whether ``NA`` or an empty field is allowed.
    format : str
        Of a moment, by the codes of `time.strftime`. One that ends in Z is in UTC; others are on some clock.
    """

    name: str
    kind: Kind
    minimum: float = -np.inf
    maximum: float = np.inf
    pattern: str | None = None
    codes: frozenset[str] | None = None
    may_be_missing: bool = False
    format: str = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Table:
    """What a table is called, the columns that are read of it, and those that tell its rows apart."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]


@dataclass(frozen=True)
class KnownFault:
    """One wrong value that the published data is known to have, and that becomes missing."""

    table: str
    row: Mapping[str, Any]
    column: str
    value: float
    why: str


def read_table(
    folder: Path,
    table: Table,
    file: str,
    known_faults: Sequence[KnownFault] = (),
    n_rows: int | None = None,
) -> tuple[pd.DataFrame, int]:
    """
    Read a table, or a month of it, and check it whole.

    Parameters
    ----------
    folder : pathlib.Path
    table : Table
    file : str
        In the folder.
    known_faults : sequence of KnownFault
        Those of other tables are passed over.
    n_rows : int or None
        How many rows there must be; None asks for at least one.

    Returns
    -------
    pandas.DataFrame, shape (n_rows, n_columns)
        Numbers as float64 with NaN for missing; integers and clocks that may not be missing as
        int64; moments in UTC, or without a time zone. Row ``i`` stands in row ``i + 2`` of the file.
    int
        How many known faults were made missing.

    Raises
    ------
    DataInvalid
        At the first thing that is wrong.
    """
    frame = _read_csv(folder / file, table, file)
    if n_rows is not None and len(frame) != n_rows:
        raise DataInvalid(f"it has {len(frame):,} rows, and should have {n_rows:,}; is it whole?", file)
    if frame.empty:
        raise DataInvalid("it has no rows", file)
    for column in table.columns:
        frame[column.name] = _parse(frame[column.name], column, file)
    n_mended = sum(_forget(frame, fault) for fault in known_faults if fault.table == table.name)
    for column in table.columns:
        _check(frame[column.name], column, file)
        if column.kind in {"integer", "clock"} and not column.may_be_missing:
            frame[column.name] = frame[column.name].astype(np.int64)
    refuse(
        frame.duplicated(list(table.key)).to_numpy(),
        file,
        table.key[-1],
        lambda _: f"another row has the same {', '.join(table.key)}",
    )
    return frame, n_mended


def refuse(is_wrong: npt.NDArray[np.bool_], file: str, column: str, describe: Any) -> None:
    """
    Raise for the first wrong row, if there is one.

    Parameters
    ----------
    is_wrong : numpy.ndarray of bool, shape (n_rows,)
    file, column : str
    describe : callable of int to str
        Says what is wrong with the row at a position.

    Raises
    ------
    DataInvalid
    """
    positions = np.flatnonzero(is_wrong)
    if positions.size:
        first = int(positions[0])
        others = f" ({positions.size:,} such rows in all)" if positions.size > 1 else ""
        raise DataInvalid(describe(first) + others, file, column, row_number(first))


def row_number(position: int) -> int:
    """Row of the CSV file in which a frame's row stands."""
    return position + 1 + _HEADER_ROW


def _read_csv(path: Path, table: Table, file: str) -> pd.DataFrame:
    names = [column.name for column in table.columns]
    try:
        header = pd.read_csv(path, nrows=0)
        if absent := [name for name in names if name not in header.columns]:
            raise DataInvalid(f"the column is missing; the file has {', '.join(header.columns)}", file, absent[0])
        # All columns are read: with only some of them, pandas takes a line of too many fields.
        frame = pd.read_csv(
            path,
            # Only what may be text is read as text: the rest is ten times faster, and still checked.
            dtype={column.name: str for column in table.columns if column.kind in {"text", "moment"}},
            keep_default_na=False,  # "NULL" or "None" would be a fault, not a missing value
            na_values=["NA", ""],
            skip_blank_lines=False,  # so that a row's number is its line
            low_memory=False,  # so that a column has one type throughout
        )
        if not isinstance(frame.index, pd.RangeIndex):  # pandas took the first field of every row for a name
            raise DataInvalid("its rows have more fields than its header", file)
        return frame[names]
    except FileNotFoundError:
        raise DataInvalid(f"there is no such file in {path.parent}", file) from None
    except (OSError, BadZipFile, ValueError) as error:  # pandas' own errors are ValueErrors
        raise DataInvalid(f"it cannot be read: {str(error).strip().splitlines()[0]}", file) from None


def _parse(values: pd.Series, column: Column, file: str) -> pd.Series:
    if column.kind == "text":
        return values
    if column.kind == "moment":
        is_utc = column.format.endswith("Z")
        parsed: pd.Series = pd.to_datetime(values, format=column.format, utc=is_utc, errors="coerce")
        what = f"a moment such as {_SOME_MOMENT:{column.format}}"
    elif values.dtype.kind in "iuf":
        return values.astype(np.float64)
    else:
        parsed = pd.to_numeric(values.astype(str).where(values.notna()), errors="coerce").astype(np.float64)
        what = "a number"
    refuse(
        (parsed.isna() & values.notna()).to_numpy(),
        file,
        column.name,
        lambda position: f"{str(values.iloc[position])!r} is not {what}",
    )
    return parsed


def _forget(frame: pd.DataFrame, fault: KnownFault) -> int:
    """Make a known wrong value missing, where it still stands; returns how often it did."""
    found = frame[fault.column] == fault.value
    for name, value in fault.row.items():
        found &= frame[name] == value
    frame.loc[found, fault.column] = np.nan
    return int(found.sum())


def _check(values: pd.Series, column: Column, file: str) -> None:
    def refuse_where(is_wrong: pd.Series, rule: str) -> None:
        refuse(is_wrong.to_numpy(dtype=bool), file, column.name, lambda position: f"{_show(values, position)} {rule}")

    present = values.notna()
    if not column.may_be_missing:
        refuse(~present.to_numpy(), file, column.name, lambda _: "the value is missing, and must be there")
    if column.kind in {"number", "integer", "clock"}:
        low, high = column.minimum, column.maximum
        refuse_where(present & ~values.between(low, high), f"is not from {low:g} to {high:g}")
    if column.kind in {"integer", "clock"}:
        refuse_where(present & (values % 1 != 0), "is not a whole number")
    if column.kind == "clock":
        refuse_where(present & (values % _MINUTES_IN > _HIGHEST_MINUTE), "is not a time of day")
    if column.codes is not None:
        known = ", ".join(sorted(column.codes))
        refuse_where(present & ~values.isin(column.codes), f"is an unknown code; known are {known}")
    if column.pattern is not None:
        refuse_where(present & ~values.str.fullmatch(column.pattern, na=False), f"does not match {column.pattern}")


def _show(values: pd.Series, position: int) -> str:
    value = values.iloc[position]
    return repr(value) if isinstance(value, str) else f"{value:g}"
