"""
One partition, a Parquet file: read, answered by a predictor, and written whole or not at all.

What is written says what it was made of, so that a job which was killed can be run again: a partition that is there, of
the same instances and by the same model version, stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.predictor import Predictor
from app.signature import Signature
from model.errors import DataInvalid
from model.scoring.answers import find_not_finite, find_type, to_column
from model.scoring.columns import Fault, Found, MatrixReader, name_columns

PREDICTION = "prediction"
_MADE_OF = b"treeserve"  # of the Parquet file's own metadata
_ASIDE = ".writing-"
_BATCH_ROWS = 65_536  # what is in memory at once, whatever the size of a file


@dataclass(frozen=True)
class Partition:
    """
    A file of instances, and the file of their predictions.

    Attributes
    ----------
    source, target : pathlib.Path
        Seen under these paths by every worker.
    name : str
        As people are told of it.
    """

    source: Path
    target: Path
    name: str


@dataclass(frozen=True)
class Checked:
    """
    What was found before anything is written.

    Attributes
    ----------
    is_done : bool
        Whether the predictions are there already.
    n_rows : int
    absent : tuple of str
        Features that are missing in every row, for there is no such column.
    found : Found
    """

    is_done: bool
    n_rows: int
    absent: tuple[str, ...]
    found: Found


def list_partitions(source: Path, target: Path) -> list[Partition]:
    """
    Find the Parquet files of a folder and below it, or the one file that is named.

    Hidden files, and those that begin with an underscore as other programs write them, are no partitions.

    Raises
    ------
    DataInvalid
        If there are none, or predictions would be written over or among the instances.
    """
    source, target = source.resolve(), target.resolve()
    if target == source or target.is_relative_to(source) or source.is_relative_to(target):
        raise DataInvalid("the predictions need a folder of their own, neither in this one nor around it", str(source))
    if source.is_file():
        return [Partition(source, target / source.name, source.name)]
    names = sorted(path.relative_to(source) for path in source.rglob("*.parquet") if path.is_file())
    chosen = [name for name in names if not any(step.startswith((".", "_")) for step in name.parts)]
    if not chosen:
        raise DataInvalid("there is no such file, or folder with .parquet files", str(source))
    return [Partition(source / name, target / name, str(name)) for name in chosen]


def check_partition(partition: Partition, predictor: Predictor, identity: str) -> Checked:
    """
    Read a partition from its first value to its last, unless its predictions are there.

    Parameters
    ----------
    partition : Partition
    predictor : Predictor
    identity : str
        Of the predictor, as `app.check.load_identified` gives it.
    """
    found = Found()
    if is_done(partition, identity):
        return Checked(True, pq.read_metadata(partition.target).num_rows, (), found)
    reader = _make_reader(predictor)
    try:
        with pq.ParquetFile(partition.source) as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
            faults = reader.check(schema)
            if PREDICTION in name_columns(predictor.signature.features, schema):
                faults.append(
                    Fault(PREDICTION, None, "the predictions are written into a column of this name; rename it")
                )
            for fault in faults:
                found.add(fault)
            if not faults:
                features = [feature.name for feature in predictor.signature.features if feature.name in schema.names]
                for first_row, batch in _read_batches(file, features):
                    reader.read(batch, first_row, found)
    except (pa.ArrowException, OSError) as error:
        found.add(Fault(None, None, _tell_unreadable(error)))
        return Checked(False, 0, (), found)
    return Checked(False, n_rows, _list_absent(predictor.signature, schema), found)


def score_partition(partition: Partition, predictor: Predictor, identity: str) -> int:
    """
    Answer a partition, and put the answers into their place when all of them are there.

    Parameters
    ----------
    partition, predictor, identity
        As `check_partition` takes them.

    Returns
    -------
    int
        How many instances it has.

    Raises
    ------
    DataInvalid
        If it is not as it was when it was checked, the model's answer is no number, or the answers cannot be written.
    """
    place = partition.target
    aside = place.with_name(f"{_ASIDE}{place.name}-{uuid.uuid4().hex}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        n_rows = _write(partition, predictor, identity, aside)
        os.replace(aside, place)
    except (pa.ArrowException, OSError) as error:
        if not is_done(partition, identity):  # as it is where another worker was given it too, and was quicker
            raise DataInvalid(_tell_unreadable(error), partition.name) from None
        n_rows = pq.read_metadata(place).num_rows
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
            # Of this partition, by a worker that was killed, or is slower than another one that was given it too.
            for remains in place.parent.glob(f"{_ASIDE}{escape(place.name)}-*"):
                remains.unlink(missing_ok=True)
    return n_rows


def is_done(partition: Partition, identity: str) -> bool:
    """Whether the predictions of these very instances, by this very model version, are there."""
    try:
        made_of = (pq.read_schema(partition.target).metadata or {}).get(_MADE_OF)
        if made_of is None:
            return False
        told = json.loads(made_of)
        return bool(told["identity"] == identity and told["source_sha256"] == _digest(partition.source))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return False


def _write(partition: Partition, predictor: Predictor, identity: str, aside: Path) -> int:
    reader, found, n_rows = _make_reader(predictor), Found(), 0
    with pq.ParquetFile(partition.source) as file:
        kept = name_columns(predictor.signature.features, file.schema_arrow)
        type_ = find_type(predictor)
        fields = [file.schema_arrow.field(name) for name in kept]
        version = predictor.version
        made_of = {
            "model": version.name,
            "version": version.version,
            "run_id": version.run_id,
            "identity": identity,
            "source_sha256": _digest(partition.source),
        }
        schema = pa.schema([*fields, pa.field(PREDICTION, type_)], metadata={_MADE_OF: json.dumps(made_of).encode()})
        with pq.ParquetWriter(aside, schema, compression="zstd") as writer:
            for first_row, batch in _read_batches(file, None):
                predictions = predictor.forest.predictions(reader.read(batch, first_row, found))
                if found.faults:
                    fault = found.faults[0]
                    raise DataInvalid(
                        f"{fault.detail}; it was another one before", partition.name, fault.column, fault.row
                    )
                if (row := find_not_finite(predictions)) is not None:
                    problem = "the model's answer is not a finite number"
                    raise DataInvalid(problem, partition.name, None, first_row + row)
                columns = [*(batch.column(name) for name in kept), to_column(predictions, type_)]
                writer.write_batch(pa.record_batch(columns, schema=schema))
                n_rows += batch.num_rows
    return n_rows


def _make_reader(predictor: Predictor) -> MatrixReader:
    return MatrixReader(predictor.signature, predictor.unknown_is_missing(None))


def _read_batches(file: pq.ParquetFile, columns: list[str] | None) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Some rows at a time, each time with the number of the first of them."""
    first_row = 0
    for batch in file.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
        yield first_row, batch
        first_row += batch.num_rows


def _list_absent(signature: Signature, schema: pa.Schema) -> tuple[str, ...]:
    return tuple(feature.name for feature in signature.features if feature.name not in schema.names)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tell_unreadable(error: Exception) -> str:
    told = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return f"it cannot be read or written: {told}"
