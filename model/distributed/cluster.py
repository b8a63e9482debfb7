"""
A Dask cluster, as jobs that have to end right need it.

Workers come and go. Who can take on work is asked by giving each a task of no size: it is answered by a worker that
lives, has the same software and is not held up, and by no other. A job that lost a worker begins again with those left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import distributed
from distributed import Client, Future, KilledWorker

from model.errors import ClusterUnusable, TrainingError
from model.progress import Progress
from model.registry.provenance import library_versions

T = TypeVar("T")
R = TypeVar("R")

# For the scheduler to answer, and for a first worker to come.
_CONNECT_S = 30.0
_LOOK_EVERY_S = 0.2
_SILENCE_S = 120
_LONGER_S = 30  # until those who waited so long have said so
_MOST_LOSSES = 3


class LinkBroken(Exception):
    """An attempt failed, and it was the cluster's doing."""


@dataclass(frozen=True, order=True)
class Worker:
    """
    A process of the cluster; one that was started again is another one.

    Attributes
    ----------
    task_id : str
        By which XGBoost orders workers, and so their rows.
    address : str
    pid, n_threads : int
    """

    task_id: str
    address: str
    pid: int
    n_threads: int


class Cluster:
    """
    The workers of one scheduler.

    Attributes
    ----------
    client : distributed.Client
    silence_s : int
        How long a worker may keep others waiting before they take it for lost.
    """

    def __init__(self, client: Client, address: str, progress: Progress, silence_s: int = _SILENCE_S) -> None:
        self.client = client
        self.silence_s = silence_s
        self._address = address
        self._progress = progress

    @property
    def n_workers(self) -> int:
        """How many a job would begin with now; raises `ClusterUnusable` if none."""
        return len(self.find_workers(_CONNECT_S))

    def find_workers(self, at_most_s: float) -> list[Worker]:
        """
        Those workers that can take on work now, in XGBoost's order; waits until all have said so that are there.

        Raises
        ------
        ClusterUnusable
            If there is none, or one has other software than this process.
        """
        asked: dict[str, Future] = {}
        ends_at = time.monotonic() + at_most_s
        while True:
            present = self._list_present()
            asked = {address: asked.get(address) or self._ask(address) for address in present}
            answered = [address for address, future in asked.items() if future.done()]
            if (answered and len(answered) == len(asked)) or time.monotonic() > ends_at:
                break
            time.sleep(_LOOK_EVERY_S)
        if not answered:
            raise ClusterUnusable(
                f"no worker of {self._address} has taken on work within {at_most_s:.0f} s; start some on each "
                f"machine, in the project's folder: .venv/bin/python -m dask worker {self._address}"
            )
        return sorted(self._meet(address, present[address], asked[address]) for address in answered)

    def insist(self, attempt: Callable[[list[Worker]], T]) -> T:
        """
        Do something that needs the same workers from its beginning to its end, anew with those left if some are lost.

        Parameters
        ----------
        attempt : callable
            May raise whatever it likes where a worker is lost, and `LinkBroken` for what is not its own doing.

        Raises
        ------
        ClusterUnusable
            If workers are lost again and again.
        TrainingError
            If it fails although no worker is lost.
        """
        workers = self.find_workers(_CONNECT_S)
        for n_losses in range(1, _MOST_LOSSES + 1):
            self._progress.say(_describe(workers))
            try:
                return attempt(workers)
            except TrainingError:
                raise
            except Exception as error:  # whatever Dask and XGBoost make of it
                left = self.find_workers(self.silence_s + _LONGER_S)
                if left == workers and not isinstance(error, LinkBroken):
                    raise TrainingError(f"the cluster's workers failed: {_shorten(error)}") from error
                self._progress.say(
                    f"workers were lost ({_shorten(error)}); beginning again, {n_losses} of {_MOST_LOSSES}"
                )
                workers = left
        raise ClusterUnusable(
            f"{self._address} has lost workers {_MOST_LOSSES} times in mid-job; a worker that runs out of memory ends "
            "like that: give it more, or the job more workers"
        )

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[int, R], None, None]:
        """
        Let whichever worker do something with each item; what a lost worker had is done by the others.

        Yields
        ------
        int
            Which item it was.
        R
            What came of it; in the order in which they are done.

        Raises
        ------
        ClusterUnusable
            If one item takes several workers down, all workers are gone, or the scheduler is.
        """
        futures = {self.client.submit(work, item, pure=False): position for position, item in enumerate(items)}
        waiting = set(futures)
        try:
            while waiting:
                done = self._wait_for_some(waiting)
                for future in done:
                    yield futures[future], future.result()
                waiting -= done
        except KilledWorker as error:
            raise ClusterUnusable(
                f"{_shorten(error)}; a worker that runs out of memory ends like that: give it more, or it fewer threads"
            ) from None
        except distributed.client.FutureCancelledError as error:
            raise ClusterUnusable(f"{self._address} has dropped the job: {_shorten(error)}; run it again") from None
        finally:
            self.client.cancel(list(waiting))

    def _wait_for_some(self, waiting: set[Future]) -> set[Future]:
        gone_at = None
        while True:
            try:
                done: set[Future] = distributed.wait(waiting, timeout=1, return_when="FIRST_COMPLETED").done
                return done
            except TimeoutError:
                now = time.monotonic()
                gone_at = None if self._list_present() else gone_at or now
                if gone_at is not None and now - gone_at > _CONNECT_S:
                    raise ClusterUnusable(
                        f"all workers of {self._address} are gone; start some and run it again"
                    ) from None

    def _list_present(self) -> dict[str, dict[str, Any]]:
        try:
            workers: dict[str, dict[str, Any]] = self.client.scheduler_info(n_workers=-1)["workers"]
        except OSError as error:
            raise ClusterUnusable(f"the scheduler at {self._address} is gone: {_shorten(error)}") from None
        return workers

    def _ask(self, address: str) -> Future:
        return self.client.submit(_introduce, pure=False, workers=[address], allow_other_workers=False)

    def _meet(self, address: str, told: dict[str, Any], asked: Future) -> Worker:
        if asked.status == "error":
            raise ClusterUnusable(
                f"the worker {address} cannot work for treeserve: {_shorten(asked.exception())}; start it in "
                "the project's folder, of the same commit, with what requirements/install.sh dask installs"
            )
        pid, versions = asked.result()
        if versions != (own := library_versions()):
            differing = sorted(name for name in {*versions, *own} if versions.get(name) != own.get(name))
            raise ClusterUnusable(
                f"the worker {address} has other versions of {', '.join(differing)}: "
                f"{', '.join(str(versions.get(name)) for name in differing)} there, "
                f"{', '.join(str(own.get(name)) for name in differing)} here; install the same lock file on both"
            )
        return Worker(f"[xgboost.dask-{told['name']}]:{address}", address, pid, told["nthreads"])


@contextmanager
def connect(address: str, progress: Progress) -> Iterator[Cluster]:
    """
    Be a client of a scheduler for a while; certificates and the like are as Dask's own configuration says.

    Raises
    ------
    ClusterUnusable
        If it does not answer.
    """
    progress.say(f"asking the Dask scheduler at {address}")
    try:
        client = Client(address, timeout=_CONNECT_S, name="treeserve")
    except (OSError, ValueError, TypeError) as error:
        raise ClusterUnusable(
            f"no Dask scheduler answers at {address}: {_shorten(error)}; start one: .venv/bin/python -m dask scheduler"
        ) from None
    with client:
        yield Cluster(client, address, progress)


def _introduce() -> tuple[int, dict[str, str]]:
    return os.getpid(), library_versions()


def _describe(workers: Sequence[Worker]) -> str:
    n_threads = sum(worker.n_threads for worker in workers)
    return f"{len(workers)} worker(s) with {n_threads} thread(s)"


def _shorten(error: BaseException | None) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:300]
