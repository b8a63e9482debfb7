"""From logs to a new champion, step by step: what calls for a version, what becomes of it, and what a kill leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.datasets.dataset import Dataset
from model.errors import PromotionRefused
from model.flights.project import PROJECT
from model.gate import bootstrap, judge
from model.rules import read_retraining_rules
from tests.integration.mlflow_store import restored_tracking_uri
from tests.integration.retraining import (
    GATE,
    QUIET,
    WEAK,
    KilledError,
    Loop,
    Mortal,
    make_loop,
    write_log,
    write_profile,
)
from tests.integration.training import NAME

pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")  # of MLflow's own use of pandas

RULES = read_retraining_rules()
YOUNG = replace(RULES, age_days=10_000)  # never too old


@pytest.fixture(scope="module")
def flights(sample: Path) -> Dataset:
    """A twentieth of the year's."""
    return PROJECT.read(sample, "2013-12", QUIET)


@pytest.fixture
def loop(flights: Dataset, empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    """A weak champion."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    with restored_tracking_uri():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
        monkeypatch.setenv("TREESERVE_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setattr(bootstrap, "N_DRAWS", 100)
        monkeypatch.setattr(judge, "measure_prediction_time_us", lambda *_: 3.0)  # which no two runs have alike
        yield make_loop(tmp_path, flights)


@pytest.fixture(scope="module")
def newest(flights: Dataset) -> Dataset:
    """Flights of December."""
    return flights.select((flights.moments >= "2013-12-01").to_numpy())


def test_no_rule_calls_for_a_version_where_nothing_has_changed(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """Neither drift nor age, and the live metric is as it was tested: nothing is trained, and the report says why."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    before = loop.state()
    report = loop.retrain(log, rules=YOUNG)
    assert (report.outcome, [step for step, _ in report.steps]) == ("nothing to do", ["drift", "live metric", "age"])
    assert report.steps[0][1].startswith("unknown: no service has told what it counted of version 1 in that time")
    assert f"of {newest.n_rows:,} outcomes" in report.steps[1][1]
    assert loop.state() == before


@pytest.mark.parametrize("cause", ["drift", "live metric", "age"])
def test_each_rule_calls_for_a_version(loop: Loop, newest: Dataset, tmp_path: Path, cause: str) -> None:
    """And is named in the report; what is trained is judged, and shadows."""
    log, rules = tmp_path / "payload.log", YOUNG
    if cause == "drift":
        write_profile(log, WEAK, [("cold", 0.5, 900), ("warm", 0.5, 101)])
    elif cause == "live metric":
        # As if flights were late that never were: what came true is the opposite.
        write_log(log, replace(newest, outcomes=1 - newest.outcomes), WEAK)
    else:
        rules = RULES
        write_log(log, newest, WEAK)
    report = loop.retrain(log, rules=rules)
    told = dict(report.steps)["called for"]
    assert {"drift": "have drifted", "live metric": "auc has fallen", "age": "days old"}[cause] in told
    assert (report.outcome, report.version) == ("challenger", "2"), report.to_markdown()
    assert report.verdict is not None
    assert loop.state()["aliases"] == {"champion": 1, "challenger": 2}


def test_the_way_of_a_version_from_the_logs_to_the_champion(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """Trained, judged, in shadow, promoted; each run goes one step on, and running it twice changes nothing more."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    assert loop.retrain(log).outcome == "challenger"
    waits = loop.retrain(log)
    assert (waits.outcome, waits.version) == ("shadowing", "2")
    assert waits.steps == [("shadow", "0 outcomes of both; 1,000 are waited for")]

    write_log(log, newest, WEAK, "2")
    promoted = loop.retrain(log)
    assert (promoted.outcome, promoted.version) == ("promoted", "2")
    assert promoted.figures["shadow_gain"] > 0
    assert loop.state()["aliases"] == {"champion": 2}
    assert [move.kind for move in loop.versions.moves()] == ["remove", "promote", "set", "promote"]

    again = loop.retrain(log)
    assert (again.outcome, again.champion) == ("nothing to do", "2")
    with loop.experiment.asking() as client:
        runs = client.search_runs([loop.experiment.id], "tags.kind = 'retraining'")
        (run,) = (run for run in runs if run.data.tags["outcome"] == "promoted")
        kept = json.loads(Path(client.download_artifacts(run.info.run_id, "retraining.json")).read_text())
    assert kept == json.loads(json.dumps(promoted.to_json()))
    assert sorted(run.data.tags["outcome"] for run in runs) == ["challenger", "nothing to do", "promoted", "shadowing"]


@pytest.mark.slow
def test_what_is_no_outcome_of_the_task_is_left_out(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """Feedback is any number; a 7 of a question of yes or no is a slip, and stops nothing."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    before = dict(loop.retrain(log, rules=YOUNG).steps)["live metric"]
    slip = log.read_text().splitlines()[1].replace('"treeserve.outcome": 0.0', '"treeserve.outcome": 7.0')
    assert "7.0" in slip
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0], slip, *lines[2:]]) + "\n")
    after = dict(loop.retrain(log, rules=YOUNG).steps)["live metric"]
    assert f"of {newest.n_rows:,} outcomes" in before
    assert f"of {newest.n_rows - 1:,} outcomes" in after


def test_a_challenger_that_is_worse_in_service_is_dropped_for_good(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """Though the gate has passed it, and would again."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    assert loop.retrain(log).outcome == "challenger"
    write_log(log, newest, WEAK, "2", upside_down=True)
    dropped = loop.retrain(log)
    assert (dropped.outcome, dropped.version) == ("dropped", "2")
    assert dropped.figures["shadow_gain"] < 0
    again = loop.retrain(log)
    assert (again.outcome, dict(again.steps)["known"]) == (
        "nothing new",
        "version 2 has shadowed before, and was dropped",
    )
    assert loop.state()["aliases"] == {"champion": 1}


@pytest.mark.slow
def test_what_the_gate_refuses_is_not_asked_twice(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """The verdict is found where it was written."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    strict = replace(GATE, least_gain=0.4)
    refused = loop.retrain(log, gate_rules=strict)
    assert (refused.outcome, refused.version) == ("refused", "2")
    again = loop.retrain(log, gate_rules=strict)
    assert (again.outcome, again.verdict) == ("refused", None)
    assert dict(again.steps)["judged before"].startswith("refused better, and not by chance: auc 0.")
    assert loop.state()["aliases"] == {"champion": 1}


@pytest.mark.slow
def test_a_version_that_a_person_has_rolled_back_is_not_tried_again(
    loop: Loop, newest: Dataset, tmp_path: Path
) -> None:
    """The person knows something that the figures do not."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    assert loop.retrain(log).outcome == "challenger"
    loop.versions.promote("2", "it looks good")
    loop.versions.roll_back("the callers of LGA complain")
    again = loop.retrain(log)
    assert (again.outcome, again.version) == ("nothing new", "2")
    assert dict(again.steps)["known"].endswith("the callers of LGA complain")


def test_without_a_champion_the_first_version_becomes_it(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """If it behaves; there is nothing to compare it with. Where one had the alias, it is given to nobody else."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    loop.versions.remove("champion", "a slip")
    with pytest.raises(PromotionRefused, match="has the alias champion, and one had it: give it back"):
        loop.retrain(log)
    with loop.experiment.asking() as client:
        client.delete_registered_model(NAME)
    report = loop.retrain(log)
    assert (report.outcome, report.version) == ("promoted", "1")
    assert "with no champion to compare with" in report.to_markdown()
    assert loop.state()["aliases"] == {"champion": 1}


def test_outcomes_of_another_model_say_nothing(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """Its versions have the same numbers, and its lines are in the same streams."""
    log = write_log(tmp_path / "payload.log", replace(newest, outcomes=1 - newest.outcomes), WEAK)
    log.write_text(log.read_text().replace(f'"{NAME}"', '"seattle-weather"'))
    report = loop.retrain(log, rules=YOUNG)
    assert report.outcome == "nothing to do"
    assert dict(report.steps)["live metric"].startswith("0 outcomes")


def test_few_values_in_many_bins_are_no_drift(loop: Loop, tmp_path: Path) -> None:
    """PSI grows as observations become fewer, whatever they are."""
    for n_rows in (300, 2_000):
        drawn = np.random.default_rng(1).multinomial(n_rows, np.full(500, 1 / 500))
        bins = [(str(number), 1 / 500, int(count)) for number, count in enumerate(drawn)]
        few = loop.retrain(write_profile(tmp_path / "payload.log", WEAK, bins), rules=YOUNG)
        assert few.figures["psi_largest"] > RULES.psi
        assert few.outcome == "nothing to do"


@pytest.mark.slow
def test_a_challenger_waits_where_nothing_is_certain(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """Of one kind of outcome alone there is no AUC; after so many days without a decision it gives up its alias."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    assert loop.retrain(log).outcome == "challenger"
    write_log(log, replace(newest, outcomes=np.zeros_like(newest.outcomes)), WEAK, "2")
    lenient = replace(GATE, calibration_loss=1.0)
    loop.versions.tag("2", {"gate.rules": "of before"})
    assert loop.retrain(log, gate_rules=lenient).outcome == "shadowing"
    given_up = loop.retrain(log, gate_rules=lenient, now=datetime.now(UTC) + timedelta(days=RULES.shadow_days + 1))
    assert given_up.outcome == "given up"
    assert loop.state()["aliases"] == {"champion": 1}


@pytest.mark.slow
def test_a_challenger_that_nobody_has_judged_against_the_champion_is_none(
    loop: Loop, newest: Dataset, tmp_path: Path
) -> None:
    """An alias that was set by hand, or from before the champion was rolled back."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    assert loop.retrain(log).outcome == "challenger"
    write_log(log, newest, WEAK, "2")
    loop.versions.tag("2", {"gate.champion": "7"})
    report = loop.retrain(log, rules=YOUNG)
    assert report.outcome == "nothing to do"
    assert "has not passed it against version 1" in dict(report.steps)["challenger"]
    assert loop.state()["aliases"] == {"champion": 1}


@pytest.mark.faults
def test_killed_before_any_of_its_writes_it_comes_to_the_same_end(loop: Loop, newest: Dataset, tmp_path: Path) -> None:
    """From logs to a challenger, and from a challenger to the champion: once more is enough, wherever it was killed."""
    log = write_log(tmp_path / "payload.log", newest, WEAK)
    loop.retrain(log)
    _forget(loop)  # but for what was trained: a version that is there makes fewer writes
    trained, judged = _writes(loop, log), loop.state()
    assert "set_registered_model_alias" in trained
    for lives in range(len(trained)):
        _forget(loop)
        with pytest.raises(KilledError):
            loop.retrain(log, lives)
        assert loop.retrain(log).outcome in ("challenger", "shadowing")
        assert loop.state() == judged, f"killed before write {lives}, {trained[lives]}"

    write_log(log, newest, WEAK, "2")
    promoted = _writes(loop, log)
    done = loop.state()
    assert done["aliases"] == {"champion": 2}
    for lives in range(len(promoted)):
        with loop.experiment.asking() as client:
            client.set_registered_model_alias("flight-delay", "champion", WEAK)
            client.set_registered_model_alias("flight-delay", "challenger", "2")
        with pytest.raises(KilledError):
            loop.retrain(log, lives)
        loop.retrain(log)
        assert loop.state() == done, f"killed before write {lives}, {promoted[lives]}"


def _writes(loop: Loop, log: Path) -> list[str]:
    """What an undisturbed run writes, in order."""
    client: Any = loop.experiment._client
    loop.experiment._client = recording = Mortal(client)
    try:
        loop.retrain(log)
    finally:
        loop.experiment._client = client
    return recording.writes


def _forget(loop: Loop) -> None:
    """Back to a version that is trained, and nothing else."""
    with loop.experiment.asking() as client:
        client.delete_registered_model_alias("flight-delay", "challenger")
        for name in loop.versions.tags("2"):
            client.delete_model_version_tag("flight-delay", "2", name)
        client.update_model_version("flight-delay", "2", "")
