"""The gate on registered model versions, and the aliases that move after it, in a real MLflow."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from model.__main__ import main
from model.datasets.dataset import Dataset
from model.errors import GateImpossible, PromotionRefused
from model.flights.project import PROJECT
from model.gate.answers import load_predictor
from model.gate.behaviour import check_callers
from model.pipeline.gating import gate
from model.pipeline.steps import train_on
from model.progress import Progress
from model.registry.registration import Experiment
from model.registry.versions import Versions
from model.rules import read_gate_rules
from tests.integration.mlflow_store import restored_tracking_uri
from tests.integration.training import NAME, QUICK
from tests.parameters import make_parameters

pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")  # of MLflow's own use of pandas

WEAK, BETTER = "1", "2"
QUIET = Progress(io.StringIO())
RULES = read_gate_rules()


@dataclass
class Loop:
    """A registry with a weak champion and a better version, and the data that both were trained on."""

    uri: str
    versions: Versions
    dataset: Dataset


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """A command of `python -m model`: its exit code, and what it writes."""
    status = main(arguments)
    return status, *capsys.readouterr()


@pytest.fixture(scope="module")
def loop(sample: Path, empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Trained on a twentieth of the flights; the weak one is a single stump."""
    folder = tmp_path_factory.mktemp("loop")
    shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    dataset = PROJECT.read(sample, "2013-12", QUIET)
    with restored_tracking_uri(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("TREESERVE_CACHE_DIR", str(folder / "cache"))
        experiment = Experiment(uri, NAME)
        weak = make_parameters(rounds=1, max_depth=1)
        train_on(PROJECT, dataset, "a sample", weak, experiment, True, QUIET)
        train_on(PROJECT, dataset, "a sample", QUICK, experiment, False, QUIET)
        yield Loop(uri, Versions(experiment, NAME), dataset)


def test_a_better_version_passes_and_its_verdict_is_where_people_look(loop: Loop) -> None:
    """In the version's tags and description, and in its run, with the figures."""
    verdict = gate(PROJECT, loop.versions, BETTER, loop.dataset, RULES, QUIET)
    assert verdict.has_passed, verdict.reasons
    assert (verdict.challenger, verdict.champion, verdict.window) == (BETTER, WEAK, "2013-12-04 to 2013-12-31")
    assert loop.versions.tags(BETTER)["gate"] == "passed"
    run = loop.versions.run_of(BETTER)
    assert run.data.metrics["gate_gain"] == pytest.approx(
        run.data.metrics["gate_auc"] - run.data.metrics["gate_champion_auc"]
    )
    with loop.versions.asking() as client:
        assert client.get_model_version(NAME, BETTER).description == verdict.to_markdown()
        kept = json.loads(Path(client.download_artifacts(run.info.run_id, "gate/verdict.json")).read_text())
    assert kept == json.loads(json.dumps(verdict.to_json()))


def test_what_the_gate_asks_is_what_the_service_answers(loop: Loop) -> None:
    """The window's own AUC, by XGBoost, is the figure that the gate has."""
    import xgboost
    from sklearn.metrics import roc_auc_score

    from model.datasets.dataset import encode_categories
    from model.gate.judge import choose_window

    verdict = gate(PROJECT, loop.versions, BETTER, loop.dataset, RULES, QUIET)
    window, predictor = choose_window(loop.dataset, RULES.window_days), load_predictor(f"models:/{NAME}/{BETTER}")
    assert predictor.card is not None
    with loop.versions.asking() as client:
        folder = Path(client.get_logged_model(client.get_model_version(NAME, BETTER).source[8:]).artifact_location)
    categories = {name: [str(value) for value in known] for name, known in predictor.card.categories.items()}
    matrix = xgboost.DMatrix(encode_categories(window.features, categories), enable_categorical=True)
    by_xgboost = roc_auc_score(window.outcomes, xgboost.Booster(model_file=folder / "model.ubj").predict(matrix))
    figures = {name: value for check in verdict.checks for name, value in check.figures.items()}
    assert figures["auc"] == pytest.approx(by_xgboost, abs=1e-9)


def test_a_version_that_callers_would_have_to_change_for_is_refused(loop: Loop) -> None:
    """No service would take it for the champion, and a promotion would change nothing but the alias."""
    champion, challenger = (load_predictor(f"models:/{NAME}/{version}") for version in (WEAK, BETTER))
    assert check_callers(challenger, champion).has_passed
    features = [
        replace(feature, categories=(feature.categories or ())[:-1]) if feature.name == "dest" else feature
        for feature in challenger.signature.features
    ]
    without = replace(challenger, signature=replace(challenger.signature, features=tuple(features)))
    check = check_callers(without, champion)
    assert not check.has_passed
    assert "'dest' has no category " in check.seen


def test_rows_that_a_version_has_seen_do_not_judge_it(loop: Loop) -> None:
    """Nor does it judge itself."""
    seen = loop.dataset.select((loop.dataset.moments < "2013-11-15").to_numpy())
    with pytest.raises(GateImpossible, match=r"has seen rows until 2013-11-01.* by rows since 2013-10-18: train"):
        gate(PROJECT, loop.versions, BETTER, seen, RULES, QUIET)
    with pytest.raises(GateImpossible, match="is the champion itself"):
        gate(PROJECT, loop.versions, WEAK, loop.dataset, RULES, QUIET)


def test_promoting_and_rolling_back_say_who_when_and_why(
    loop: Loop, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the commands: judged first, promoted, rolled back, and nothing else."""
    status, told, _ = run(capsys, "gate", BETTER, "--data", str(sample))
    assert (status, "**Gate: passed** against version 1" in told) == (0, True)
    status, told, _ = run(capsys, "promote", BETTER, "--why", "it is better")
    assert (status, "promote champion, version 1 to 2, by " in told) == (0, True)
    assert loop.versions.find("champion") == BETTER
    again = run(capsys, "promote", BETTER, "--why", "once more", "--ungated")
    assert again == (1, "", "error: flight-delay version 2 is the champion already\n")

    status, told, _ = run(capsys, "gate", WEAK, "--data", str(sample))
    assert (status, "**Gate: refused** against version 2" in told) == (3, True)
    status, _, told = run(capsys, "promote", WEAK, "--why", "I like it")
    assert status == 1
    assert told.startswith("error: the gate has refused version 1 (better, and not by chance: auc 0.")

    status, told, _ = run(capsys, "rollback", "--why", "callers complain")
    assert "roll back champion, version 2 to 1, by " in told
    assert told.splitlines()[0].endswith(": callers complain")
    assert loop.versions.find("champion") == WEAK
    kinds = [(move.kind, move.before, move.after, move.why) for move in loop.versions.moves()]
    assert kinds == [
        ("roll back", "2", "1", "callers complain"),
        ("promote", "1", "2", "it is better"),
        ("promote", "", "1", "by training, and not by the gate"),
    ]
    with pytest.raises(PromotionRefused, match="not known which version of flight-delay was the champion before 1"):
        loop.versions.roll_back("and further")


def test_a_verdict_against_another_champion_does_not_promote(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is a version promoted that is not there."""
    loop.versions.tag(BETTER, {"gate": "passed", "gate.champion": "7"})
    _, _, told = run(capsys, "promote", BETTER, "--why", "it was better once")
    assert "was judged against version 7, and the champion is version 1 now; judge it again" in told
    _, _, told = run(capsys, "promote", "9", "--why", "a slip")
    assert told == "error: flight-delay has no version or alias '9'; its versions: 1, 2\n"


def test_a_reason_may_be_long_and_in_any_script_and_others_tags_are_passed_over(loop: Loop) -> None:
    """It is shortened before it is written, not the JSON around it."""
    loop.versions.set_challenger(BETTER, "причина" * 2_000)
    with loop.versions.asking() as client:
        client.set_registered_model_tag(NAME, "move.of.somebody.else", "to the left")
    (newest, *_) = loop.versions.moves()
    assert newest.why.startswith("причина")
    assert len(newest.why) < 2_100
    loop.versions.remove("challenger", "as it was")


def test_a_version_that_was_deleted_is_not_rolled_back_to(loop: Loop) -> None:
    """And nothing is told of a move that was not made."""
    with loop.versions.asking() as client:
        gone = str(client.create_model_version(NAME, client.get_model_version(NAME, WEAK).source).version)
    loop.versions.promote(gone, "for a moment")
    loop.versions.promote(BETTER, "the next")
    with loop.versions.asking() as client:
        client.delete_model_version(NAME, gone)
    told = loop.versions.moves()
    with pytest.raises(PromotionRefused, match=f"no version or alias '{gone}'"):
        loop.versions.roll_back("it is worse")
    assert (loop.versions.moves(), loop.versions.find("champion")) == (told, BETTER)
    loop.versions.promote(WEAK, "as it was")


def test_a_champion_of_meanwhile_is_not_overridden(loop: Loop) -> None:
    """What was compared with another one is not promoted over it."""
    with pytest.raises(PromotionRefused, match="version 1 has become the champion meanwhile"):
        loop.versions.promote(BETTER, "better than 7", instead_of="7")


def test_a_challenger_that_becomes_the_champion_is_one_no_more(loop: Loop) -> None:
    """So that no service shadows a version with itself."""
    loop.versions.set_challenger(BETTER, "let it shadow")
    assert loop.versions.named("challenger") == BETTER
    loop.versions.promote(BETTER, "it has shadowed well")
    assert (loop.versions.find("champion"), loop.versions.find("challenger")) == (BETTER, None)
    loop.versions.roll_back("as it was")
