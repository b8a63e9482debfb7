"""The lock of the retraining, in a real MLflow: had by one, taken over from the dead, never by two."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from model.errors import RetrainingRuns
from model.registry.registration import Experiment
from model.retraining.lock import locked
from tests.integration.mlflow_store import MlflowStore, restored_tracking_uri
from tests.integration.training import NAME

MOMENT = timedelta(seconds=1.5)
_N_TAKERS = 6


@pytest.fixture
def experiment(empty_database: Path, tmp_path: Path) -> Iterator[Experiment]:
    """In a store of its own."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    with restored_tracking_uri():
        yield Experiment(f"sqlite:///{tmp_path / 'mlflow.db'}", NAME)


def locks(experiment: Experiment) -> list[str]:
    """The registered models that are locks."""
    with experiment.asking() as client:
        return sorted(model.name for model in client.search_registered_models())


def test_a_second_one_is_refused_and_told_who_is_at_work(experiment: Experiment) -> None:
    """And has it once the first is done; what is left is one small registered model."""
    with (
        locked(experiment, NAME),
        pytest.raises(
            RetrainingRuns, match=r"at work: .* on .*, process \d+\. If it was killed, its lock can be taken"
        ),
        locked(experiment, NAME),
    ):
        pytest.fail("two have it")
    with locked(experiment, NAME) as lock:
        lock.check()
    assert locks(experiment) == [f"{NAME}.retraining.2"]


def test_it_is_let_go_of_after_a_failure_too(experiment: Experiment) -> None:
    """Whatever ended the work."""
    with pytest.raises(ZeroDivisionError), locked(experiment, NAME):
        _ = 1 / 0
    with locked(experiment, NAME):
        pass


def test_it_is_kept_for_as_long_as_its_owner_lives(experiment: Experiment) -> None:
    """Work may take longer than the patience that others have with a dead one."""
    with locked(experiment, NAME, MOMENT):
        time.sleep(2 * MOMENT.total_seconds())
        with pytest.raises(RetrainingRuns), locked(experiment, NAME, MOMENT):
            pytest.fail("it was taken from a living one")


def test_what_a_killed_one_had_is_taken_after_its_expiry_and_it_finds_out(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was only away, a suspended machine, changes nothing more."""
    with locked(experiment, NAME, MOMENT) as away:
        monkeypatch.setattr(away, "renew", lambda: None)  # as if it were not running
        time.sleep(MOMENT.total_seconds() + 1)
        with locked(experiment, NAME, MOMENT), pytest.raises(RetrainingRuns, match="has taken the lock"):
            away.check()
    with locked(experiment, NAME, MOMENT):  # neither release has damaged anything
        pass


def test_of_several_who_take_it_at_once_one_has_it(server: MlflowStore) -> None:
    """Also where the one before has expired: on a server, which answers them in threads of its own."""
    with restored_tracking_uri():
        experiments = [Experiment(server.uri, NAME) for _ in range(_N_TAKERS)]
    experiments[0].create_model(f"{NAME}.retraining.1", {"owner": "one", "expires_at": "2013-01-01T00:00:00+00:00"})
    begin, end = threading.Barrier(_N_TAKERS), threading.Barrier(_N_TAKERS)

    def take(experiment: Experiment) -> str:
        begin.wait(60)
        try:
            with locked(experiment, NAME):
                end.wait(60)  # until every other was refused
                return "had"
        except RetrainingRuns:
            end.wait(60)
            return "refused"

    with ThreadPoolExecutor(_N_TAKERS) as pool:
        said = list(pool.map(take, experiments))
    assert sorted(said) == ["had", *["refused"] * (_N_TAKERS - 1)]
