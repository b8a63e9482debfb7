"""A search in a real MLflow: nested runs, never twice, on from where it was, and nothing of the test rows."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
import pytest
import yaml

from app.registry.store import PROJECT_ROOT
from model.__main__ import main
from model.commands import tune as command
from model.datasets.dataset import Dataset
from model.errors import RegistryUnusable
from model.flights.project import FlightDelay
from model.parameters import PARAMETERS, read_parameters
from model.progress import Progress
from model.tuning.record import SearchRecord
from model.tuning.search import Search
from model.tuning.space import SPACE, take_values
from model.tuning.trial import Measure
from model.tuning.tune import Found
from tests.integration.mlflow_store import restored_tracking_uri
from tests.integration.tuning import N_TRIALS, QUICK, Logged, search, with_values
from tests.parameters import TEST_FROM
from tests.processes import clean_environment

_N_CHECKS = 6  # two sets of parameters, three seeds each
_KILLED = """
import os, signal, sys
from pathlib import Path
from model.progress import Progress, quieten_libraries
quieten_libraries()
from model.flights.project import PROJECT
from model.tuning.record import SearchRecord
from model.tuning.tune import tune
from tests.parameters import make_parameters

log_rounds, calls = SearchRecord.log_rounds, []

def killed(record, run_id, window, *others):
    log_rounds(record, run_id, window, *others)
    calls.append(window)
    if calls.count(2) == 8:
        os.kill(os.getpid(), signal.SIGKILL)

SearchRecord.log_rounds = killed
quick = make_parameters(rounds=40, stopping_rounds=5)
tune(PROJECT, quick, Path(sys.argv[2]), sys.argv[1], 8, 0, Progress())
"""


@dataclass
class Searched:
    """A search that has ended."""

    uri: str
    found: Found
    logged: Logged


def make_store(folder: Path, empty_database: Path) -> str:
    """An empty store of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(empty_database, folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(scope="module")
def small(sample: Path, empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """The first trials of it, in a store that tests add to."""
    uri = make_store(tmp_path_factory.mktemp("a small search"), empty_database)
    return Searched(uri, search(uri, sample, 2), Logged(uri))


@pytest.fixture(scope="module")
def searched(sample: Path, empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """The quick search, whole."""
    uri = make_store(tmp_path_factory.mktemp("a search"), empty_database)
    return Searched(uri, search(uri, sample), Logged(uri))


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no more trees be grown."""

    def grow(*arguments: object) -> NoReturn:
        raise AssertionError("this was known")

    monkeypatch.setattr(Measure, "grow", grow)


def test_each_trial_is_a_run_below_the_searchs(searched: Searched) -> None:
    """With its parameters, its metric round by round and window by window, and a plot."""
    (parent,) = [run for run in searched.logged.runs() if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.run_id == searched.found.search_id
    assert parent.info.status == "FINISHED"
    below = searched.logged.runs(**{"mlflow.parentRunId": parent.info.run_id})
    roles = [run.data.tags["role"] for run in below]
    assert (roles.count("trial"), roles.count("present"), roles.count("check")) == (N_TRIALS, 1, _N_CHECKS)
    trial = searched.logged.runs(role="trial", number="0")[0]
    values = {name: float(trial.data.params[name]) for name in SPACE}
    assert {name: float(value) for name, value in take_values(searched.found.trials[0].parameters).items()} == values
    curves = [searched.logged.curve(trial, window) for window in (1, 2)]
    assert trial.data.metrics["score"] == pytest.approx(np.mean([max(curve) for curve in curves]))
    assert searched.logged.artifacts(trial)["plots/rounds.png"].startswith(b"\x89PNG")


def test_a_pruned_trial_is_marked_and_has_no_score(searched: Searched) -> None:
    """Or a page that is sorted by score would show it among the whole ones."""
    pruned = searched.logged.runs(state="pruned")
    assert len(pruned) == searched.found.n_pruned > 0
    for run in pruned:
        assert "score" not in run.data.metrics
        assert run.info.run_name.endswith(", pruned")
    assert all("score" in run.data.metrics for run in searched.logged.runs(state="whole"))


def test_the_search_itself_has_what_a_person_looks_at(searched: Searched) -> None:
    """Plots, a table, a note, and the lines for params.yaml."""
    run = searched.logged.client.get_run(searched.found.search_id)
    files = searched.logged.artifacts(run)
    assert set(files) == {"plots/history.png", "plots/values.png", "plots/importance.png", "best.yaml", "trials.csv"}
    best = searched.found.comparison.best
    assert yaml.safe_load(files["best.yaml"]) == {"train": take_values(best.parameters)}
    assert len(files["trials.csv"].splitlines()) == N_TRIALS + 1
    assert run.data.metrics["best_score"] == best.score
    assert run.data.metrics["n_pruned"] == searched.found.n_pruned
    said, _, *table = run.data.tags["mlflow.note.content"].splitlines()
    assert f"{best.score:.4f}" in said
    assert {line.count("|") for line in table} == {len(SPACE) + 3}
    assert run.data.params["search_seed"] == "0"


def test_the_same_search_again_does_nothing(searched: Searched, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds what it found, and leaves the store as it was."""
    before = [run.to_dictionary() for run in searched.logged.runs()]
    forbid(monkeypatch)
    again = search(searched.uri, sample)
    assert replace(again, n_new=searched.found.n_new) == searched.found
    assert again.n_new == 0
    assert [run.to_dictionary() for run in searched.logged.runs()] == before


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_and_comes_to_the_same(
    searched: Searched, sample: Path, empty_database: Path, tmp_path: Path
) -> None:
    """Killed in the middle of a trial: that trial is marked and measured again, those before it are not."""
    uri = make_store(tmp_path / "store", empty_database)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, uri, str(sample)],
        cwd=PROJECT_ROOT,
        env=clean_environment(tmp_path),
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    logged = Logged(uri)
    (interrupted,) = [run for run in logged.runs(role="trial") if run.info.status == "RUNNING"]
    ended = [run.info.run_id for run in logged.runs() if run.info.status == "FINISHED"]
    assert len(ended) > 1
    assert logged.curve(interrupted, 1)
    search(uri, sample)
    assert logged.client.get_run(interrupted.info.run_id).info.status == "KILLED"
    assert [run.info.run_id for run in logged.runs() if run.info.run_id in ended] == ended
    assert logged.tell() == searched.logged.tell()


@pytest.mark.slow
def test_more_trials_add_to_those_of_before(small: Searched, searched: Searched, sample: Path) -> None:
    """And come to what as many at once come to."""
    more = search(small.uri, sample, 3)
    assert more.search_id == small.found.search_id
    assert more.trials == searched.found.trials[:3]
    assert small.logged.client.get_run(more.search_id).data.metrics["n_trials"] == 3
    assert len(small.logged.runs(role="trial")) == 3


def test_parameters_that_a_trial_had_are_not_measured_again(
    small: Searched, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the best were written into params.yaml: the same search knows them, and says where from."""
    best = search(small.uri, sample, 1).comparison.best
    forbid(monkeypatch)
    again = search(small.uri, sample, 1, parameters=with_values(QUICK, **take_values(best.parameters)))
    assert again.search_id == small.found.search_id
    assert again.comparison.is_same
    *_, run = small.logged.runs(role="present")
    assert small.logged.client.get_run(run.data.tags["reused_from"]).data.tags["role"] == "trial"
    assert run.data.metrics["score"] == best.score


@pytest.mark.slow
def test_another_search_uses_what_one_has_measured(
    small: Searched, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it tries the same parameters: the figures are taken over into a run of its own."""
    best = search(small.uri, sample, 1).comparison.best
    forbid(monkeypatch)
    monkeypatch.setattr(Search, "propose", lambda _: take_values(best.parameters))
    other = search(small.uri, sample, 2, seed=1)
    assert other.search_id != small.found.search_id
    assert [trial.score for trial in other.trials] == [best.score] * 2
    runs = small.logged.runs(**{"mlflow.parentRunId": other.search_id})
    assert len(runs) == 2 + 1 + _N_CHECKS
    assert all("reused_from" in run.data.tags for run in runs)


class Changed(FlightDelay):
    """The flights, with other rows from a day on."""

    def __init__(self, first: pd.Timestamp) -> None:
        self._first = first

    def read(self, folder: Path | None, until: str, progress: Progress) -> Dataset:
        """Turn outcomes round, unknown categories and missing values everywhere, and fewer rows."""
        dataset = super().read(folder, until, progress)
        is_later = (dataset.moments >= self._first).to_numpy()
        features = dataset.features.copy()
        features.loc[is_later, ["carrier", "dest"]] = "ZZ"
        features.loc[is_later, ["temp", "dewp"]] = np.nan
        outcomes = np.where(is_later, 1 - dataset.outcomes, dataset.outcomes).astype(np.int8)
        is_kept = ~is_later | (np.arange(dataset.n_rows) % 3 == 0)
        return Dataset(features, outcomes, dataset.moments).select(is_kept)


def test_the_search_never_sees_the_test_rows(
    searched: Searched, sample: Path, empty_database: Path, tmp_path: Path
) -> None:
    """Whatever they hold, it is the same search, with the same trials, to the last digit; of rows before, it is not."""
    uri = make_store(tmp_path, empty_database)
    changed = search(uri, sample, 2, project=Changed(TEST_FROM))
    assert changed.trials == searched.found.trials[:2]
    assert changed.comparison.present == searched.found.comparison.present
    here = Logged(uri).client.get_run(changed.search_id).data
    there = searched.logged.client.get_run(searched.found.search_id).data
    assert (here.tags["study"], here.params) == (there.tags["study"], there.params)
    other = search(uri, sample, 1, project=Changed(TEST_FROM - pd.Timedelta(days=3)))
    assert other.search_id != changed.search_id
    assert other.trials[0].score != changed.trials[0].score


@pytest.mark.slow
def test_a_run_that_fails_or_is_interrupted_is_marked(
    searched: Searched, sample: Path, empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with it the search; what comes next is not held up by it."""
    uri = make_store(tmp_path, empty_database)
    for error, status in ((KeyboardInterrupt(), "KILLED"), (RegistryUnusable("full"), "FAILED")):

        def fail(*arguments: object, error: BaseException = error) -> NoReturn:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(SearchRecord, "log_rounds", fail)
            with pytest.raises(type(error)):
                search(uri, sample, 1)
        assert [run.info.status for run in Logged(uri).runs()][-1] == status
        assert Logged(uri).runs()[0].info.status == status
    assert search(uri, sample, 1).trials == searched.found.trials[:1]
    assert [run.info.status for run in Logged(uri).runs(role="present")] == ["KILLED", "FAILED", "FINISHED"]
    assert Logged(uri).runs()[0].info.status == "FINISHED"


def test_the_command_says_what_to_do_next(
    searched: Searched,
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With --write it does the first of it."""
    file = tmp_path / "params.yaml"
    shutil.copy(PARAMETERS, file)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", searched.uri)
    monkeypatch.setattr(command, "read_parameters", lambda: QUICK)
    monkeypatch.setattr(command, "PARAMETERS", file)
    arguments = ["tune", "--data", str(sample), "--trials", str(N_TRIALS)]
    with restored_tracking_uri():
        assert main(arguments) == 0
        told = capsys.readouterr().out
        assert main([*arguments, "--write"]) == 0
    assert "all of it was known" in told
    assert searched.found.search_id in told
    assert "--write puts them into params.yaml, then make repro" in told
    assert file.read_text(encoding="utf-8") != PARAMETERS.read_text(encoding="utf-8")
    best = searched.found.comparison.best.parameters
    assert take_values(read_parameters(file).train) == take_values(best)
    assert "make repro" in capsys.readouterr().out


def test_what_is_not_better_is_not_written(
    small: Searched,
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As when the best are what params.yaml has."""
    best = take_values(search(small.uri, sample, 1).comparison.best.parameters)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", small.uri)
    monkeypatch.setattr(command, "read_parameters", lambda: with_values(QUICK, **best))
    monkeypatch.setattr(command, "PARAMETERS", tmp_path / "params.yaml")
    with restored_tracking_uri():
        assert main(["tune", "--data", str(sample), "--trials", "1", "--write"]) == 0
    told = capsys.readouterr().out
    assert "the best parameters are the present ones" in told
    assert "next: nothing" in told
    assert not list(tmp_path.iterdir())


def test_no_trials_are_no_search(capsys: pytest.CaptureFixture[str]) -> None:
    """Told in one line."""
    assert main(["tune", "--trials", "0"]) == 2
    assert capsys.readouterr().err == "error: --trials is 0; it must be at least 1\n"


def test_without_optuna_it_says_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training alone does without it."""
    for name in [name for name in sys.modules if name.startswith("model.tuning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune"]) == 1
    assert capsys.readouterr().err == "error: the search needs optuna: requirements/install.sh tune brings it\n"
