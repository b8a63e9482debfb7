"""A training run from the CSV files to the champion in MLflow, and every way in which it can end early."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml

from app.artifacts import Card, GoldenRows, read_artifact
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.profile import ReferenceProfile
from app.registry.store import PROJECT_ROOT
from app.verification import verify
from model.__main__ import main
from model.datasets.dataset import FeatureColumn
from model.errors import RegistryUnusable
from model.flights.features import FEATURES
from model.flights.project import PROJECT
from model.pipeline.steps import train
from model.progress import Progress
from model.registry.packaging import ModelPackage
from model.registry.registration import Experiment, RegisteredVersion, RunRecord
from tests.boosters import INPUTS, ModelFolderBuilder
from tests.integration.mlflow_store import MlflowStore, load_mlflow
from tests.integration.training import NAME, QUICK, Trained, copy_store
from tests.processes import clean_environment

# MLflow 3.17 itself, as it writes an input example with pandas 3.
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")


def read_rows(instances: Sequence[dict[str, Any]], categories: dict[str, list[str]]) -> pd.DataFrame:
    """Instances as XGBoost takes them, by the card alone."""
    columns: dict[str, Any] = {}
    for feature in FEATURES:
        values = [instance[feature.name] for instance in instances]
        if feature.name in categories:
            known = [value if value in categories[feature.name] else None for value in values]
            columns[feature.name] = pd.Categorical(known, categories=categories[feature.name])
        else:
            columns[feature.name] = np.array(values, dtype=np.float64)
    return pd.DataFrame(columns)


def test_the_alias_champion_names_the_version(trained: Trained) -> None:
    """The model version, its run and its logged model know of each other."""
    version = trained.client.get_model_version_by_alias(NAME, "champion")
    assert (str(version.version), version.run_id) == ("1", trained.registered.run_id)
    assert trained.registered == RegisteredVersion(NAME, "1", "champion", version.run_id)
    assert trained.client.get_run(version.run_id).info.status == "FINISHED"
    logged = trained.client.get_logged_model(trained.model_id)
    assert logged.source_run_id == version.run_id
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": "1"}]


def test_the_files_are_all_there_and_none_is_a_pickle(trained: Trained) -> None:
    """XGBoost's own format, MLflow's descriptions and our three files, beside the database."""
    names = {str(path.relative_to(trained.folder)) for path in trained.folder.rglob("*") if path.is_file()}
    assert names == {
        "MLmodel", "model.ubj", "input_example.json", "serving_input_example.json",
        "conda.yaml", "python_env.yaml", "requirements.txt",
        "extra_files/card.json", "extra_files/profile.json", "extra_files/golden.json",
    }  # fmt: skip
    database = Path(trained.uri.removeprefix("sqlite:///"))
    assert trained.folder.is_relative_to(database.parent / "artifacts" / NAME)


def test_the_booster_is_the_one_that_the_card_was_written_for(trained: Trained) -> None:
    """Byte for byte."""
    digest = hashlib.sha256((trained.folder / "model.ubj").read_bytes()).hexdigest()
    assert trained.artifact("card.json")["booster_sha256"] == digest


def test_mlflows_own_loader_answers_the_golden_rows(trained: Trained) -> None:
    """A reader who has the card and MLflow needs nothing of ours."""
    card, golden = trained.artifact("card.json"), trained.artifact("golden.json")
    booster = load_mlflow().xgboost.load_model(str(trained.folder))
    matrix = xgboost.DMatrix(read_rows(golden["instances"], card["categories"]), enable_categorical=True)
    assert np.array_equal(booster.predict(matrix), np.float32(golden["predictions"]))
    assert np.array_equal(booster.predict(matrix, output_margin=True), np.float32(golden["margins"]))


def test_the_golden_rows_are_varied(trained: Trained) -> None:
    """Values missing in every way, a destination that opened later, and predictions from low to high."""
    card, golden = trained.artifact("card.json"), trained.artifact("golden.json")
    instances = golden["instances"]
    assert 190 <= len(instances) <= 200
    for name in ("temp", "pressure", "plane_age", "seats"):
        assert any(instance[name] is None for instance in instances)
    assert any(instance["dest"] not in card["categories"]["dest"] for instance in instances)
    assert np.ptp(golden["predictions"]) > 0.2


def test_the_service_accepts_the_model_version(trained: Trained) -> None:
    """It loads, and answers the golden rows as XGBoost did."""
    version = ModelVersion(NAME, "1", "champion", trained.registered.run_id, str(trained.folder), is_immutable=True)
    predictor = Predictor.load(trained.folder, version)
    verify(predictor)
    assert predictor.unknown_is_missing(None)
    assert predictor.example["carrier"] == "UA"


def test_the_signature_is_declared_and_not_inferred(trained: Trained) -> None:
    """Names, types and what is required are those of the feature list, in the booster's order."""
    document = yaml.safe_load((trained.folder / "MLmodel").read_text())
    assert json.loads(document["signature"]["inputs"]) == [
        {"type": feature.type, "name": feature.name, "required": feature.required} for feature in FEATURES
    ]
    assert document["saved_input_example_info"]["artifact_path"] == "input_example.json"
    example = json.loads((trained.folder / "input_example.json").read_text(), parse_constant=pytest.fail)
    assert example["columns"] == [feature.name for feature in FEATURES]


def test_the_card_says_what_the_model_is(trained: Trained) -> None:
    """The service's own reader takes it, and its metrics are those of the run."""
    card = read_artifact(Card, trained.folder / "extra_files" / "card.json")
    assert card is not None
    run = trained.client.get_run(trained.registered.run_id)
    assert card.task == "binary_classification"
    assert card.unknown_category == "missing"
    assert card.metrics == trained.metrics
    assert card.metrics.items() <= run.data.metrics.items()
    assert card.data.sha256 == run.data.params["data_sha256"]
    assert (card.data.first[:10], card.data.last[:10]) == ("2013-01-01", "2013-08-31")
    assert set(card.categories) == {"carrier", "origin", "dest"}
    assert not {"ILM", "LEX"} & {str(name) for name in card.categories["dest"]}


def test_the_profile_is_that_of_the_fitted_rows(trained: Trained) -> None:
    """Of every feature and the prediction, each fitted row counted once."""
    profile = read_artifact(ReferenceProfile, trained.folder / "extra_files" / "profile.json")
    assert profile is not None
    assert {feature.name for feature in profile.features} == {feature.name for feature in FEATURES}
    assert profile.n_rows == trained.artifact("card.json")["data"]["n_rows"]
    counted = [sum(each.counts) + each.n_missing for each in [*profile.features, profile.prediction]]
    assert set(counted) == {profile.n_rows}


def test_the_run_tells_what_was_tried_and_what_came_of_it(trained: Trained) -> None:
    """Parameters, metrics, the score of every round, plots, commit and versions."""
    run_id = trained.registered.run_id
    run = trained.client.get_run(run_id).data
    assert run.params["max_depth"] == str(QUICK.train.max_depth)
    assert run.params["device"] == "cpu"
    assert int(run.params["fit_rows"]) + int(run.params["stop_rows"]) + int(run.params["test_rows"]) > 16_000
    for name in ("test_auc", "test_log_loss", "test_brier", "test_calibration_error", "month_09_auc", "month_12_auc"):
        assert run.metrics[name] == trained.metrics[name]
    assert len(trained.client.get_metric_history(run_id, "round_score")) >= int(run.params["n_rounds"])
    plots = {artifact.path for artifact in trained.client.list_artifacts(run_id, "plots")}
    assert plots == {"plots/roc.png", "plots/calibration.png", "plots/importance.png"}
    assert re.fullmatch(r"none|[0-9a-f]{40}(-dirty)?", run.tags["git_commit"])
    assert run.tags["library.pandas"] == pd.__version__


@pytest.fixture
def copied(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of the trained store's database, set as MLflow's; its files stay where they are."""
    uri = copy_store(trained, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


def versions_in(uri: str) -> dict[str, str | None]:
    """Each model version of a store, and the alias that it has."""
    client = load_mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)
    aliases = {str(version): alias for alias, version in client.get_registered_model(NAME).aliases.items()}
    return {str(v.version): aliases.get(str(v.version)) for v in client.search_model_versions(f"name='{NAME}'")}


def test_a_second_training_makes_version_2(copied: str, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It becomes the champion, unless the alias is to stay where it is."""
    arguments = ["train", "--data", str(sample), "--rounds", "3"]
    assert main([*arguments, "--no-alias"]) == 0
    assert versions_in(copied) == {"1": "champion", "2": None}
    assert "flight-delay version 2; the alias champion was not moved" in capsys.readouterr().out
    assert main([*arguments, "--seed", "7"]) == 0
    assert versions_in(copied) == {"1": None, "2": None, "3": "champion"}
    assert "flight-delay version 3, alias champion" in capsys.readouterr().out


def test_the_same_training_finds_what_it_made(copied: str, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is made the champion, and nothing is fitted or logged."""
    arguments = ["train", "--data", str(sample), "--rounds", "3"]
    assert main([*arguments, "--no-alias"]) == 0
    made = capsys.readouterr().out
    assert main(arguments) == 0
    found = capsys.readouterr().out
    assert versions_in(copied) == {"1": None, "2": "champion"}
    assert "flight-delay version 2 was trained with the same parameters on the same data" in found
    assert "fitting on" in made
    assert "fitting on" not in found
    told = re.compile(r"^(?:run|test:) .*$", re.MULTILINE)
    assert told.findall(found) == told.findall(made)


def test_a_server_is_logged_into_as_a_store_is(server: MlflowStore, sample: Path, tmp_path: Path) -> None:
    """The server says where its artifacts are; the booster that comes back is the one that was measured."""
    with server.selected():
        version = train(PROJECT, QUICK, sample, server.uri, True, Progress(io.StringIO()))
        client = load_mlflow().MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)
        found = client.get_model_version_by_alias(NAME, "champion")
        place = load_mlflow().artifacts.download_artifacts(f"models:/{NAME}@champion", dst_path=str(tmp_path))
    assert found.run_id == version.registered.run_id
    card = read_artifact(Card, Path(place) / "extra_files" / "card.json")
    assert card is not None
    assert card.booster_sha256 == hashlib.sha256((Path(place) / "model.ubj").read_bytes()).hexdigest()
    assert read_artifact(GoldenRows, Path(place) / "extra_files" / "golden.json") is not None


def test_a_moved_store_is_told(trained: Trained, tmp_path: Path, sample: Path) -> None:
    """Its model versions point to where it was: what to do is said, and nothing is written."""
    shutil.copy(trained.uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    with pytest.raises(RegistryUnusable, match="it was moved, and its old model versions point to") as caught:
        Experiment(f"sqlite:///{tmp_path / 'mlflow.db'}", NAME)
    assert f"Move it back, or delete {tmp_path} and train again" in str(caught.value)
    assert not (tmp_path / "artifacts").exists()


def test_a_deleted_experiment_is_told(copied: str) -> None:
    """MLflow keeps its name; the command that brings it back is said."""
    client = load_mlflow().MlflowClient(tracking_uri=copied, registry_uri=copied)
    client.delete_experiment(client.get_experiment_by_name(NAME).experiment_id)
    with pytest.raises(RegistryUnusable, match="was deleted; restore it with `mlflow experiments restore -x 1`"):
        Experiment(copied, NAME)


def test_a_booster_that_the_store_changed_is_not_registered(
    copied: str, champion: ModelFolderBuilder, tmp_path: Path
) -> None:
    """The run is marked as failed, the registry stays as it is, and the champion where it is."""
    card = tmp_path / "card.json"
    card.write_text("{}")
    example = champion.table.dropna().head(1).astype({"carrier": str})
    columns = [FeatureColumn(each["name"], each["type"], each["required"], "") for each in INPUTS]
    package = ModelPackage(champion.booster, "0" * 64, columns, example, [card])
    experiment = Experiment(copied, NAME)
    with pytest.raises(
        RegistryUnusable, match=r"the stored model\.ubj has the sha256 .* and the card says 000000000000"
    ):
        experiment.register(NAME, RunRecord({}, {"test_auc": 0.7}, [0.7], {}, {}), package)
    assert versions_in(copied) == {"1": "champion"}
    client = load_mlflow().MlflowClient(tracking_uri=copied, registry_uri=copied)
    experiment = client.get_experiment_by_name(NAME).experiment_id
    assert sorted(run.info.status for run in client.search_runs([experiment])) == ["FAILED", "FINISHED"]


def test_bad_data_ends_in_one_line(
    copied: str, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With file, column and row; nothing is registered."""
    data = shutil.copytree(sample, tmp_path / "data")
    lines = (data / "planes.csv").read_text().splitlines()
    lines[41] = lines[41].replace(",2,", ",2,-", 1)
    (data / "planes.csv").write_text("\n".join(lines) + "\n")
    assert main(["train", "--data", str(data)]) == 1
    assert re.fullmatch(
        r"error: planes\.csv, column 'seats', row 42: -\d+ is not from 1 to 900\n", capsys.readouterr().err
    )
    assert versions_in(copied) == {"1": "champion"}


def test_a_server_that_does_not_answer_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the data is read, and without the password of its address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert main(["train", "--data", str(sample)]) == 1
    told = capsys.readouterr()
    assert re.fullmatch(r"error: MLflow at http://127\.0\.0\.1:9 cannot be used: .*\n", told.err)
    assert "reading" not in told.out
    assert "secret" not in told.out + told.err


@pytest.mark.parametrize(
    ("uri", "told"),
    [("sqlite:////proc/none/mlflow.db", "No such file or directory"), ("nonsense://x", "unsupported URI")],
)
def test_a_store_that_cannot_be_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], uri: str, told: str
) -> None:
    """Whatever raised it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert main(["train"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: MLflow at {uri} cannot be used: ")
    assert told in error
    assert error.count("\n") == 1


def test_a_bad_parameter_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as argparse itself answers, before anything is imported or opened."""
    assert main(["train", "--max-depth", "0"]) == 2
    assert capsys.readouterr().err == "error: max_depth is 0; it must be from 1 to 16\n"


def run_python(arguments: Sequence[str], home: Path, uri: str) -> subprocess.CompletedProcess[str]:
    """Run Python in an empty folder, as a person would who set nothing but the store."""
    environment = clean_environment(home, MLFLOW_TRACKING_URI=uri, PYTHONPATH=str(PROJECT_ROOT))
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=300, check=False)


def test_if_missing_does_nothing_where_there_is_a_champion(trained: Trained, tmp_path: Path) -> None:
    """At once: neither pandas nor XGBoost nor MLflow is imported to find that out."""
    code = (
        "import sys; from model.__main__ import main; status = main(['train', '--if-missing']); "
        "slow = {'pandas', 'xgboost', 'mlflow', 'matplotlib', 'numpy'} & set(sys.modules); "
        "sys.exit(f'imported {slow}' if slow else status)"
    )
    ended = run_python(["-c", code], tmp_path, trained.uri)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"flight-delay@champion is version 1 at {trained.uri}; nothing to train\n"


def test_the_command_is_quiet_and_writes_only_into_its_store(sample: Path, tmp_path: Path) -> None:
    """A store that it makes itself, a line a step, and not a word of MLflow's own on standard error."""
    home, uri = tmp_path / "home", f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"
    home.mkdir()
    options = ["--if-missing", "--data", str(sample), "--rounds", "26", "--stopping-rounds", "26"]
    ended = run_python(["-m", "model", "train", *options], home, uri)
    assert (ended.returncode, ended.stderr) == (0, "")
    steps, _, summary = ended.stdout.partition("\n\n")
    assert all(re.match(r" *\d+\.\d s  ", line) for line in steps.splitlines())
    assert "round 25: auc on the stopping rows 0." in steps
    assert summary.startswith("flight-delay version 1, alias champion\nrun ")
    assert re.search(r"\ntest: .*auc 0\.\d{4}.*\n\nnext: make mlflow-ui .*; make run ", summary)
    assert not [path for path in home.iterdir() if not path.name.startswith(".")]
