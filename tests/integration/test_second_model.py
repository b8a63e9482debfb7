"""
Another question, another data set and another task, by changing `model/` alone: trained, and served beside the first.

The first model is the example on the sample; both are versions in one registry, each with a service of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml

from app.artifacts import Card
from app.ecs import PREDICTION_DATASET
from model.__main__ import main
from model.observed.log_lines import LogReader
from tests.e2e.conftest import servers
from tests.e2e.servers import Server
from tests.integration.mlflow_store import load_mlflow
from tests.integration.training import Trained, copy_store
from tests.second_model.clone import NAME, Clone, bring_model
from tests.second_model.weather.project import WEATHER
from tests.services import wait

# MLflow 3.17 itself, as it writes an input example with pandas 3.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Operation with range is deprecated")]

TODAY = {"weather": "sun", "day_of_year": 200, "precipitation": 0.0, "temp_max": 27.8, "temp_min": 14.4, "wind": 2.9}
DAYS = [
    {**TODAY, "weather": kind, "day_of_year": day, "temp_max": warmth}
    for kind in WEATHER
    for day in (1, 100, 200, 300)
    for warmth in (2.5, 15.0, None)
]


@dataclass(frozen=True)
class Second:
    """The second model as it was trained: what was said of it, and the folder of its model version."""

    clone: Clone
    said: str
    folder: Path

    @property
    def card(self) -> Card:
        """What it says of itself."""
        return Card.model_validate_json((self.folder / "extra_files" / "card.json").read_bytes())

    def answer(self, instances: list[dict[str, Any]]) -> np.ndarray:
        """What XGBoost itself answers, by the files of the model version alone."""
        table = pd.DataFrame(instances)
        table = table.assign(weather=pd.Categorical(table["weather"], categories=self.card.categories["weather"]))
        booster = xgboost.Booster(model_file=self.folder / "model.ubj")
        return np.asarray(booster.predict(xgboost.DMatrix(table, enable_categorical=True)))


@dataclass(frozen=True)
class Services:
    """Two microservices side by side, and the payload log of the second."""

    first: Server
    second: Server
    log: Path

    def ask(self, *instances: dict[str, Any]) -> dict[str, Any]:
        """The second one's answer."""
        answer = httpx2.post(f"{self.second.url}/predict", json={"instances": instances}, trust_env=False, timeout=10)
        assert answer.status_code == 200, answer.text
        read: dict[str, Any] = answer.json()
        return read

    def logged(self, dataset: str, n_lines: int) -> list[dict[str, Any]]:
        """The lines of a dataset, once there are so many."""
        for _ in wait():
            lines = list(LogReader([str(self.log)]).read(dataset))
            if len(lines) >= n_lines:
                break
        return lines


@pytest.fixture(scope="module")
def second(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Second:
    """Trained in a clone, into the registry that has the first."""
    folder = tmp_path_factory.mktemp("second")
    uri = copy_store(trained, folder)
    clone = bring_model(folder, uri)
    said = clone.run(sys.executable, "-m", "model", "train", "--if-missing")
    client = load_mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)
    model_id = client.get_model_version_by_alias(NAME, "champion").source.removeprefix("models:/")
    return Second(clone, said, Path(client.get_logged_model(model_id).artifact_location))


@pytest.fixture(scope="module")
def services(second: Second, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Both at once, on ports of their own."""
    folder = tmp_path_factory.mktemp("services")
    log = folder / "payload.log"
    with servers(folder, folder) as start:
        first, own = (
            start(TREESERVE_MODEL_URI=f"models:/{name}@champion", MLFLOW_TRACKING_URI=second.clone.uri, **variables)
            for name, variables in (("flight-delay", {}), (NAME, {"TREESERVE_PAYLOAD_LOG": str(log)}))
        )
        for server in (first, own):
            server.wait_until_ready()
        yield Services(first, own, log)


def test_it_is_trained_and_registered_under_its_own_name(second: Second) -> None:
    """And what is said of it is about classes."""
    assert f"{NAME} version 1, alias champion" in second.said
    assert "1,461 rows, 1,460 instances with an outcome" in second.said
    assert "mlogloss on the stopping rows" in second.said
    assert "Jan 2012 to Jun 2014, drizzle 5%, fog 17%, rain 28%, snow 3%, sun 48%" in second.said
    assert "nothing to train" in second.clone.run(sys.executable, "-m", "model", "train", "--if-missing")


def test_its_files_say_what_it_is(second: Second) -> None:
    """Card, profile and signature have the classes, and the run has their plots."""
    card = second.card
    assert (card.task, card.classes, card.decision_threshold) == ("multiclass_classification", list(WEATHER), None)
    assert card.data.name == "vega-datasets 0.9.0"
    assert {"test_log_loss", "test_accuracy", "test_calibration_error", "month_01_log_loss"} <= set(card.metrics)
    profile = json.loads((second.folder / "extra_files" / "profile.json").read_text())
    assert profile["prediction"]["categories"] == list(WEATHER)
    assert sum(profile["prediction"]["counts"]) == profile["n_rows"] == card.data.n_rows == 912
    outputs = yaml.safe_load((second.folder / "MLmodel").read_text())["signature"]["outputs"]
    assert json.loads(outputs)[0]["tensor-spec"] == {"dtype": "float32", "shape": [-1, len(WEATHER)]}
    client = load_mlflow().MlflowClient(tracking_uri=second.clone.uri)
    run_id = client.get_model_version_by_alias(NAME, "champion").run_id
    plots = {artifact.path for artifact in client.list_artifacts(run_id, "plots")}
    assert plots == {"plots/calibration.png", "plots/confusion.png", "plots/importance.png"}


def test_both_are_served_side_by_side(services: Services) -> None:
    """Each answers its own question, by the compiled kernel, and refuses the other's."""
    first, about = (server.get("/model").json() for server in (services.first, services.second))
    assert (first["name"], about["name"]) == ("flight-delay", NAME)
    assert about["prediction"]["classes"] == list(WEATHER)
    assert about["prediction"]["meaning"] == "the probability of each kind of weather in Seattle on the next day"
    assert about["evaluator"]["name"].startswith("kernel")
    (probability,) = services.first.predict(*first["input_example"]["instances"])
    assert 0 < probability < 1
    (probabilities,) = services.ask(*about["input_example"]["instances"])["predictions"]
    assert len(probabilities) == len(WEATHER)
    asked = httpx2.post(f"{services.second.url}/predict", json=first["input_example"], trust_env=False, timeout=10)
    assert asked.status_code == 422
    unknown = {"instances": [{**TODAY, "weather": "hail"}]}
    asked = httpx2.post(f"{services.second.url}/predict", json=unknown, trust_env=False, timeout=10)
    assert asked.json()["faults"][0]["pointer"] == "/instances/0/weather"


def test_answers_are_xgboosts_own(second: Second, services: Services) -> None:
    """Bit for bit, and the probabilities of an instance sum to 1."""
    answered = np.array(services.ask(*DAYS)["predictions"], dtype=np.float32)
    assert np.array_equal(answered, second.answer(DAYS))
    assert answered.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert set(answered.argmax(axis=1)) >= {WEATHER.index("rain"), WEATHER.index("sun")}


def test_what_came_true_is_joined_and_measured(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The class that came is told by its place in `classes`; figures are those of classes."""
    answer = services.ask(*DAYS)
    outcomes = [
        {"request_id": answer["request_id"], "instance": place, "outcome": WEATHER.index("sun")}
        for place in range(len(DAYS))
    ]
    told = httpx2.post(f"{services.second.url}/feedback", json={"outcomes": outcomes}, trust_env=False, timeout=10)
    assert told.status_code == 202
    services.logged("treeserve.feedback", len(DAYS))
    log = tmp_path / "payload.log"
    log.write_bytes(services.log.read_bytes())
    assert main(["outcomes", str(log), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["outcomes"]["joined"] == len(DAYS)
    of_all, of_week = document["figures"]
    assert (of_all["n_outcomes"], of_all["mean_outcome"], of_week["model"]) == (len(DAYS), None, NAME)
    predicted = np.array(answer["predictions"])
    sun = predicted[:, WEATHER.index("sun")]
    assert of_all["figures"]["log_loss"] == pytest.approx(-np.log(sun).mean())
    assert of_all["figures"]["accuracy"] == (predicted.argmax(axis=1) == WEATHER.index("sun")).mean()
    assert main(["outcomes", str(log)]) == 0
    assert "log loss" in capsys.readouterr().out


def test_a_prediction_leads_back_to_its_training(
    second: Second, services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the first model's do."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", second.clone.uri)
    request_id = services.ask(TODAY)["request_id"]
    for _ in wait():
        if any(line["http.request.id"] == request_id for line in services.logged(PREDICTION_DATASET, 1)):
            break
    assert main(["trace", request_id, str(services.log)]) == 0
    told = capsys.readouterr().out
    assert f"model     {NAME}, version 1\n" in told
    assert f"test log loss {second.card.metrics['test_log_loss']:.4f}" in told
    assert "data      vega-datasets 0.9.0, " in told


def test_drift_of_the_answers_is_that_of_the_most_probable_class(
    second: Second, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted by the service, told when it ends."""
    services.ask(*DAYS)
    expected = services.second.get("/metrics").text
    assert services.second.end() == 0
    assert main(["drift", str(services.log), "--json"]) == 0
    (drift,) = [one for one in json.loads(capsys.readouterr().out)["columns"] if one["name"] == "prediction"]
    assert drift["bins"] == [*WEATHER, "(unseen)", "(missing)"]
    most_probable = [np.argmax(line["treeserve.prediction"]) for line in services.logged(PREDICTION_DATASET, len(DAYS))]
    shares = np.bincount(most_probable, minlength=len(WEATHER)) / len(most_probable)
    assert drift["observed"] == pytest.approx([*shares, 0, 0])
    assert 'treeserve_prediction_observations_total{bin="sun",version="1"}' in expected


@pytest.mark.slow
def test_the_pipeline_makes_it_too(second: Second) -> None:
    """`dvc repro` finds the folder by its name, draws what its task draws, and registers the same model version."""
    clone = second.clone
    clone.run("git", "init", "--quiet")
    assert f"{NAME} version 1 was trained with the same parameters on the same data" in clone.run(
        "dvc", "--cd", "model", "repro"
    )
    reports = clone.folder / "model" / "reports"
    assert sorted(path.stem for path in (reports / "curves").iterdir()) == [
        "calibration", "classes", "importance", "months", "stopping",
    ]  # fmt: skip
    lock = yaml.safe_load((clone.folder / "model" / "dvc.lock").read_text())["stages"]
    assert lock["prepare"]["outs"][0]["md5"] == second.card.data.dvc
    clone.run("dvc", "plots", "show", "--out", clone.folder.parent / "plots")
    page = (clone.folder.parent / "plots" / "index.html").read_text()
    assert "AUC of each class" in page
    assert "log loss by month" in page
    fitted = json.loads((reports / "metrics.json").read_text())
    assert fitted["test_log_loss"] == pytest.approx(second.card.metrics["test_log_loss"], abs=1e-6)
