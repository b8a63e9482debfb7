"""A partition is answered whole or not at all, and once."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.forest.kernel_forest import FloatMatrix
from app.predictor import Forest, Predictor
from model.errors import DataInvalid
from model.scoring import partitions
from model.scoring.partitions import Partition, check_partition, list_partitions, score_partition
from tests.boosters import make_table, to_instances

IDENTITY = "0123"


@dataclass
class OtherForest:
    """A forest that answers as a test wants it to."""

    answer: Callable[[FloatMatrix], FloatMatrix]
    n_quick_rows: int = 1

    def margins(self, matrix: FloatMatrix) -> FloatMatrix:
        return self.answer(matrix)

    predictions = margins


@pytest.fixture
def table() -> pd.DataFrame:
    """Instances with a number of their own each."""
    return make_table(300).assign(id=np.arange(300), told=pd.Timestamp("2013-01-01", tz="UTC"))


@pytest.fixture
def partition(table: pd.DataFrame, tmp_path: Path) -> Partition:
    """The instances, in a file below a folder."""
    source = tmp_path / "in" / "month=1" / "part 0.parquet"
    source.parent.mkdir(parents=True)
    table.to_parquet(source, index=False)
    (found,) = list_partitions(tmp_path / "in", tmp_path / "out")
    return found


def answering(predictor: Predictor, answer: Callable[[FloatMatrix], FloatMatrix]) -> Predictor:
    """The predictor with another forest."""
    forest: Forest = OtherForest(answer)
    return replace(predictor, forest=forest)


def files_below(folder: Path) -> list[str]:
    """Every file, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_found_as_other_programs_leave_it(tmp_path: Path) -> None:
    """With markers and half of a file beside the partitions, which are none."""
    for name in ("b.parquet", "a/2.parquet", "_SUCCESS", "_temporary/1.parquet", ".hidden.parquet", "a/notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = list_partitions(tmp_path / "in", tmp_path / "out")
    assert [partition.name for partition in found] == ["a/2.parquet", "b.parquet"]
    assert found[0].target == tmp_path / "out" / "a" / "2.parquet"
    (single,) = list_partitions(tmp_path / "in" / "b.parquet", tmp_path / "out")
    assert (single.name, single.target) == ("b.parquet", tmp_path / "out" / "b.parquet")


@pytest.mark.parametrize(("source", "target"), [("in", "in"), ("in", "in/out"), ("in/deep", "in"), ("in", "out")])
def test_predictions_never_come_among_instances_and_nothing_is_no_input(
    source: str, target: str, tmp_path: Path
) -> None:
    """Or the next run would take them for instances."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    with pytest.raises(DataInvalid, match=r"a folder of their own|no such file"):
        list_partitions(tmp_path / source, tmp_path / target)


def test_predictions_stand_beside_what_is_no_feature_in_the_order_of_the_rows(
    partition: Partition, table: pd.DataFrame, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several batches, with the bits of the predictor."""
    monkeypatch.setattr(partitions, "_BATCH_ROWS", 64)
    checked = check_partition(partition, predictor, IDENTITY)
    assert (checked.is_done, checked.n_rows, checked.absent, checked.found.n_faults) == (False, 300, (), 0)
    assert score_partition(partition, predictor, IDENTITY) == 300
    written = pq.read_table(partition.target)
    assert written.schema.names == ["id", "told", "prediction"]
    assert written["id"].to_pylist() == list(range(300))
    assert written.schema.field("told").type == pa.timestamp("us", "UTC")
    body = json.dumps({"instances": to_instances(table[["carrier", "hour", "temp", "wind"]])}).encode()
    matrix = predictor.decoder.decode(body, max_instances=300, unknown_is_missing=False).matrix
    expected = predictor.forest.predictions(matrix)
    assert written["prediction"].to_numpy().tobytes() == expected.tobytes()
    assert json.loads(written.schema.metadata[b"treeserve"])["model"] == "flight-delay"


def test_what_is_answered_stays_and_what_has_changed_is_answered_anew(
    partition: Partition, table: pd.DataFrame, predictor: Predictor
) -> None:
    """Other instances, another model version, a damaged file."""
    score_partition(partition, predictor, IDENTITY)
    assert check_partition(partition, predictor, IDENTITY).is_done
    assert not check_partition(partition, predictor, "another one").is_done
    partition.target.write_bytes(partition.target.read_bytes()[:-9])
    assert not check_partition(partition, predictor, IDENTITY).is_done
    score_partition(partition, predictor, IDENTITY)
    table.assign(hour=table["hour"][::-1].to_numpy()).to_parquet(partition.source, index=False)
    assert not check_partition(partition, predictor, IDENTITY).is_done
    partition.target.unlink()
    table.to_parquet(partition.target, index=False)  # somebody else's
    assert not check_partition(partition, predictor, IDENTITY).is_done


def test_who_reads_predictions_while_they_are_written_anew_reads_whole_ones(
    partition: Partition, predictor: Predictor
) -> None:
    """Those of before, to their end."""
    score_partition(partition, predictor, IDENTITY)
    before = partition.target.read_bytes()
    with partition.target.open("rb") as reading:
        score_partition(partition, predictor, "another one")
        assert reading.read() == before != partition.target.read_bytes()


def test_what_is_interrupted_leaves_no_file_and_what_was_there(partition: Partition, predictor: Predictor) -> None:
    """Neither a whole one nor a part; and what a killed worker left is cleared away."""

    def fail(matrix: FloatMatrix) -> FloatMatrix:
        if len(matrix) > 1:
            raise KeyboardInterrupt
        return np.zeros(1, np.float32)

    with pytest.raises(KeyboardInterrupt):
        score_partition(partition, answering(predictor, fail), IDENTITY)
    folder = partition.target.parent
    assert files_below(folder) == []
    (folder / f".writing-{partition.target.name}-of-a-killed-worker").touch()
    score_partition(partition, predictor, IDENTITY)
    assert files_below(folder) == ["part 0.parquet"]


def test_a_worker_that_is_slower_than_another_one_does_no_harm(partition: Partition, predictor: Predictor) -> None:
    """Both were given the same partition, because the slow one was taken for lost."""

    def overtake(matrix: FloatMatrix) -> FloatMatrix:
        if len(matrix) > 1:
            score_partition(partition, predictor, IDENTITY)  # which removes what this one is writing
        return predictor.forest.predictions(matrix)

    assert score_partition(partition, answering(predictor, overtake), IDENTITY) == 300
    assert files_below(partition.target.parent) == ["part 0.parquet"]


@pytest.mark.parametrize(
    ("change", "column", "row", "detail"),
    [
        (lambda t: t.assign(hour=t["hour"].astype(float).where(t.index != 299, 7.5)), "hour", 299, "an integer"),
        (lambda t: t.assign(carrier=t["carrier"].astype(str).where(t.index != 70, "XX")), "carrier", 70, "one of"),
        (lambda t: t.drop(columns="carrier"), "carrier", None, "the required feature is missing"),
        (lambda t: t.assign(temp="hot"), "temp", None, "a column of numbers"),
        (lambda t: t.assign(prediction=0.5), "prediction", None, "rename it"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_written(
    change: Callable[[pd.DataFrame], pd.DataFrame],
    column: str,
    row: int | None,
    detail: str,
    partition: Partition,
    table: pd.DataFrame,
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With column and row, also in the last batch."""
    monkeypatch.setattr(partitions, "_BATCH_ROWS", 64)
    change(table).to_parquet(partition.source, index=False)
    found = check_partition(partition, predictor, IDENTITY).found
    assert [(fault.column, fault.row) for fault in found.faults] == [(column, row)]
    assert detail in found.faults[0].detail
    assert not partition.target.parent.exists()


def test_a_file_that_is_no_parquet_is_told(partition: Partition, predictor: Predictor) -> None:
    """Cut off, or gone since it was listed."""
    whole = partition.source.read_bytes()
    partition.source.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in check_partition(partition, predictor, IDENTITY).found.faults[0].detail
    partition.source.unlink()
    assert "No such file" in check_partition(partition, predictor, IDENTITY).found.faults[0].detail


def test_a_value_that_went_wrong_after_the_check_is_refused(
    partition: Partition, table: pd.DataFrame, predictor: Predictor
) -> None:
    """And nothing of its file is written."""
    table.assign(hour=7.5).to_parquet(partition.source, index=False)
    with pytest.raises(DataInvalid, match=r"part 0\.parquet, column 'hour', row 0: .*; it was another one before"):
        score_partition(partition, predictor, IDENTITY)
    assert files_below(partition.target.parent) == []


def test_an_answer_that_is_no_number_is_refused_as_the_service_refuses_it(
    partition: Partition, predictor: Predictor
) -> None:
    """With the row."""

    def answer(matrix: FloatMatrix) -> FloatMatrix:
        answers = np.zeros(len(matrix), np.float32)
        answers[5:] = np.nan
        return answers

    with pytest.raises(DataInvalid, match="row 5: the model's answer is not a finite number"):
        score_partition(partition, answering(predictor, answer), IDENTITY)


def test_a_probability_for_each_class_is_a_list(partition: Partition, predictor: Predictor) -> None:
    """As the service answers it."""

    def answer(matrix: FloatMatrix) -> FloatMatrix:
        return np.tile(np.array([0.25, 0.75], np.float32), (len(matrix), 1))

    score_partition(partition, answering(predictor, answer), IDENTITY)
    assert pq.read_table(partition.target)["prediction"].to_pylist()[:2] == [[0.25, 0.75]] * 2


def test_an_empty_partition_has_an_empty_answer(
    partition: Partition, table: pd.DataFrame, predictor: Predictor
) -> None:
    """A file without rows is common where files are made by the hour."""
    table.head(0).to_parquet(partition.source, index=False)
    assert check_partition(partition, predictor, IDENTITY).n_rows == 0
    assert score_partition(partition, predictor, IDENTITY) == 0
    assert pq.read_table(partition.target).num_rows == 0


def test_what_a_worker_refuses_is_the_same_where_the_command_runs() -> None:
    """It comes from another process."""
    error: Any = pickle.loads(pickle.dumps(DataInvalid("it is wrong", "part.parquet", "hour", 3)))  # noqa: S301
    assert str(error) == "part.parquet, column 'hour', row 3: it is wrong"
    assert (error.file, error.column, error.row) == ("part.parquet", "hour", 3)
