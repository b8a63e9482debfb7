"""
A whole job: every partition is checked before the first prediction is written, and then each is answered.

Where the work is done is the caller's: in this process, or by the workers of a cluster.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from app.check import load_identified
from app.errors import ModelUnfit
from app.predictor import Predictor
from app.settings import Settings, SettingsInvalid
from model.errors import DataInvalid, ParameterInvalid
from model.progress import Progress
from model.scoring.partitions import Checked, Partition, check_partition, list_partitions, score_partition

T = TypeVar("T")
# Does something with each partition, wherever: gives position and result, in the order in which they come. What has not
# begun when it is closed never does.
Each = Callable[[Callable[[Partition], Any], Sequence[Partition]], Generator[tuple[int, Any], None, None]]

_MOST_TOLD = 20
_loading = threading.Lock()
_loaded: dict[Model, Predictor] = {}


@dataclass(frozen=True)
class Model:
    """
    A model version as a worker loads it.

    Attributes
    ----------
    uri : str
        Names this very version: no alias that may move in mid-job.
    identity : str
        Of what the command itself has loaded; a worker that comes to another one answers nothing.
    """

    uri: str
    identity: str


@dataclass(frozen=True)
class Scored:
    """What a job came to."""

    version: str
    n_partitions: int
    n_rows: int
    n_kept: int


def score(uri: str, source: Path, target: Path, each: Each, progress: Progress) -> Scored:
    """
    Answer every partition of a folder.

    Parameters
    ----------
    uri : str
        Of the model version, as the service takes it.
    source, target : pathlib.Path
        The instances, and where the predictions go: under the same names.
    each : callable
        Where the work is done.
    progress : Progress

    Raises
    ------
    ModelError
        If the model version cannot be had, or may not serve.
    DataInvalid
        If a partition is not what the model takes. What was found wrong is said; nothing was written.
    """
    partitions = list_partitions(source, target)
    progress.say(f"loading {uri}, and verifying it")
    predictor, identity = _load(uri)
    model = Model(_pin(uri, predictor), identity)
    _keep(model, predictor, identity)
    progress.say(f"checking {len(partitions):,} partition(s) for {predictor.version}, {predictor.evaluator.name}")
    checked = dict(each(partial(check_with, model), partitions))
    _refuse_faults(partitions, checked, progress)
    _tell_missing(checked.values(), progress)
    due = [partition for position, partition in enumerate(partitions) if not checked[position].is_done]
    n_rows = sum(each_checked.n_rows for each_checked in checked.values())
    progress.say(f"answering {len(due):,} partition(s); {len(partitions) - len(due):,} are answered already")
    with closing(each(partial(score_with, model), due)) as answered:
        for n_done, _ in enumerate(answered, 1):
            if n_done % max(1, len(due) // 10) == 0:
                progress.say(f"  {n_done:,} of {len(due):,}")
    _check_written(partitions, checked)
    return Scored(str(predictor.version), len(partitions), n_rows, len(partitions) - len(due))


def in_this_process(
    work: Callable[[Partition], T], partitions: Sequence[Partition]
) -> Generator[tuple[int, T], None, None]:
    """Do the work here, in a thread for each core: what takes time lets go of the interpreter."""
    threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    try:
        futures = {threads.submit(work, partition): position for position, partition in enumerate(partitions)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        threads.shutdown(cancel_futures=True)


def check_with(model: Model, partition: Partition) -> Checked:
    """Check a partition, in whichever process."""
    return check_partition(partition, load_once(model), model.identity)


def score_with(model: Model, partition: Partition) -> int:
    """Answer a partition, in whichever process."""
    return score_partition(partition, load_once(model), model.identity)


def load_once(model: Model) -> Predictor:
    """
    Load a model version from the registry that this process's environment names, once a process.

    Raises
    ------
    ModelError
        If it cannot be had, may not serve, or is another one than the command has loaded.
    """
    with _loading:  # several threads of a worker want it at once
        if model not in _loaded:
            _keep(model, *_load(model.uri))
        return _loaded[model]


def _keep(model: Model, predictor: Predictor, identity: str) -> None:
    if identity != model.identity:
        raise ModelUnfit(
            f"{predictor.version} has other files here, or other software than where the command was given; workers "
            "need the same registry, the same checkout and the same requirements"
        )
    _loaded.clear()  # a worker outlives the job
    _loaded[model] = predictor


def _load(uri: str) -> tuple[Predictor, str]:
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsInvalid as error:
        raise ParameterInvalid(f"a setting cannot be used: {error}") from None
    return load_identified(uri, settings, n_threads=1)  # several partitions are answered at once


def _pin(uri: str, predictor: Predictor) -> str:
    """A URI that means the same everywhere and until the job is done."""
    version = predictor.version
    if version.alias is not None:
        return f"models:/{version.name}/{version.version}"
    folder = Path(uri)
    return str(folder.resolve()) if folder.is_dir() else uri


def _refuse_faults(partitions: Sequence[Partition], checked: dict[int, Checked], progress: Progress) -> None:
    faulty = {position: checked[position].found for position in sorted(checked) if checked[position].found.n_faults}
    if not faulty:
        return
    every = [
        DataInvalid(fault.detail, partitions[position].name, fault.column, fault.row)
        for position, found in faulty.items()
        for fault in found.faults
    ]
    for fault in every[:_MOST_TOLD]:
        progress.say(f"  {fault}")
    n_faults = sum(found.n_faults for found in faulty.values())
    first = every[0]
    raise DataInvalid(
        f"{first.problem} ({n_faults:,} fault(s) in {len(faulty):,} of {len(partitions):,} partition(s); nothing was "
        "written)",
        first.file,
        first.column,
        first.row,
    )


def _tell_missing(checked: Iterable[Checked], progress: Progress) -> None:
    """Say what is predicted as missing, which may be meant so or not."""
    absent: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for each in checked:
        for name in each.absent:
            absent[name] = absent.get(name, 0) + 1
        for name, n in each.found.n_unknown.items():
            unknown[name] = unknown.get(name, 0) + n
    for name, n in absent.items():
        progress.say(f"  {n:,} partition(s) have no column {name!r}: it is missing in every row")
    for name, n in unknown.items():
        progress.say(f"  {n:,} value(s) of {name!r} are unknown categories: they are missing")


def _check_written(partitions: Sequence[Partition], checked: dict[int, Checked]) -> None:
    """Whether what workers have written is here too."""
    for position, partition in enumerate(partitions):
        try:
            n_rows = pq.read_metadata(partition.target).num_rows
        except (OSError, pa.ArrowException):
            n_rows = -1
        if n_rows != checked[position].n_rows:
            raise DataInvalid(
                "its predictions are not where the command looks for them; every worker has to see the folders of "
                "instances and predictions under the same paths",
                partition.name,
            )
