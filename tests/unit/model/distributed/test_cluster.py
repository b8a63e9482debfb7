"""What a job does when workers are lost, differ or are not there: by a client that plays a cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from model.commands.dask_options import open_cluster
from model.distributed import cluster as module
from model.distributed.cluster import Cluster, LinkBroken, Worker
from model.errors import ClusterUnusable, DataInvalid, TrainingError
from model.registry.provenance import library_versions
from tests.dask_clusters import Watching
from tests.processes import free_port

TOLD = {"name": "w", "nthreads": 2}


@dataclass
class Answer:
    """A task that was given to one worker."""

    status: str
    value: Any

    def done(self) -> bool:
        return self.status != "pending"

    def result(self) -> Any:
        return self.value

    def exception(self) -> Any:
        return self.value


@dataclass
class PlayedClient:
    """A scheduler's workers by address, each with its answer; `turns` come one a question, and the last stays."""

    turns: list[dict[str, Answer]] = field(default_factory=list)

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1
        self.now = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        return {"workers": dict.fromkeys(self.now, TOLD)}

    def submit(self, work: Callable[[], Any], *, pure: bool, workers: list[str], allow_other_workers: bool) -> Answer:
        assert not pure
        assert not allow_other_workers
        return self.now[workers[0]]


def answer(pid: int, **versions: str) -> Answer:
    """That of a worker which lives."""
    return Answer("finished", (pid, library_versions() | versions))


def play(*turns: dict[str, Answer]) -> Cluster:
    """A cluster with such workers."""
    return Cluster(PlayedClient(list(turns)), "tcp://there", Watching(), silence_s=0)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONNECT_S", 0.05)
    monkeypatch.setattr(module, "_LONGER_S", 0.05)
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.001)


def test_workers_come_in_the_order_in_which_xgboost_ranks_them() -> None:
    """By what it makes of name and address; 10 is before 9 there."""
    cluster = play({"tcp://b:9": answer(1), "tcp://b:10": answer(2)})
    assert [worker.address for worker in cluster.find_workers(1)] == ["tcp://b:10", "tcp://b:9"]
    assert cluster.n_workers == 2


def test_a_worker_that_does_not_answer_is_left_out() -> None:
    """It is stopped, or still in a job that has lost another worker."""
    cluster = play({"tcp://a": answer(1), "tcp://b": Answer("pending", None)})
    assert [worker.address for worker in cluster.find_workers(0.01)] == ["tcp://a"]


@pytest.mark.parametrize(
    ("worker", "told"),
    [
        (Answer("pending", None), "no worker of tcp://there has taken on work"),
        (Answer("error", ModuleNotFoundError("No module named 'model'")), "start it in the project's folder"),
        (answer(1, numpy="1.0"), "the worker tcp://a has other versions of numpy: 1.0 there, "),
    ],
)
def test_workers_that_are_of_no_use_are_told(worker: Answer, told: str) -> None:
    """With what to do."""
    with pytest.raises(ClusterUnusable, match=told):
        play({"tcp://a": worker}).find_workers(0.01)


def attempts(*outcomes: Exception | str) -> tuple[Callable[[list[Worker]], str], list[list[str]]]:
    """Something that comes to one outcome after the other, and the workers that it was tried with."""
    left, tried = list(outcomes), []

    def attempt(workers: list[Worker]) -> str:
        tried.append([worker.address for worker in workers])
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt, tried


def test_a_lost_worker_is_done_without() -> None:
    """Whatever it was that was raised."""
    attempt, tried = attempts(RuntimeError("cancelled"), "done")
    cluster = play({"tcp://a": answer(1), "tcp://b": answer(2)}, {"tcp://a": answer(1)})
    assert cluster.insist(attempt) == "done"
    assert tried == [["tcp://a", "tcp://b"], ["tcp://a"]]


def test_a_worker_that_was_started_again_was_lost() -> None:
    """It has the address of the other one, and none of its rows."""
    attempt, tried = attempts(RuntimeError("cancelled"), "done")
    assert play({"tcp://a": answer(1)}, {"tcp://a": answer(2)}).insist(attempt) == "done"
    assert len(tried) == 2


def test_a_link_that_broke_is_tried_again_with_the_same_workers() -> None:
    """One of them did not answer for a while."""
    attempt, tried = attempts(LinkBroken("timed out"), "done")
    assert play({"tcp://a": answer(1)}).insist(attempt) == "done"
    assert len(tried) == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("the label is wrong\nand a stack"), "the cluster's workers failed: the label is wrong$"),
        (DataInvalid("it is wrong", "a.csv"), "a.csv: it is wrong"),
    ],
)
def test_what_is_no_workers_end_is_not_tried_again(error: Exception, told: str) -> None:
    """It would fail every time."""
    attempt, tried = attempts(error)
    with pytest.raises(TrainingError, match=told):
        play({"tcp://a": answer(1)}).insist(attempt)
    assert len(tried) == 1


def test_losses_are_borne_three_times() -> None:
    """A job that takes its workers down would otherwise go on for ever."""
    attempt, tried = attempts(*[LinkBroken("gone")] * 9)
    with pytest.raises(ClusterUnusable, match="has lost workers 3 times"):
        play({"tcp://a": answer(1)}).insist(attempt)
    assert len(tried) == 3


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the time that is given it; so is an address of no kind that Dask knows."""
    monkeypatch.setattr(module, "_CONNECT_S", 0.3)
    for address in (f"tcp://127.0.0.1:{free_port()}", "nonsense://x"):
        with pytest.raises(ClusterUnusable, match="no Dask scheduler answers"), open_cluster(address, Watching()):
            pass


def test_without_dask_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not installed with what trains on one machine."""
    monkeypatch.setitem(sys.modules, "model.distributed.cluster", None)
    with pytest.raises(ClusterUnusable, match=r"requirements/install\.sh dask"):
        open_cluster("tcp://127.0.0.1:1", Watching())
