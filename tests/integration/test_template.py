"""The template, filled with a made-up table as it stands: a regression, trained, registered and fit to serve."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

from app.artifacts import Card
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.verification import verify
from model.errors import DataInvalid
from model.pipeline.steps import train
from model.progress import Progress
from model.template import project
from model.template.project import PROJECT
from model.training.fit import FittedModel
from tests.integration.mlflow_store import load_mlflow, restored_tracking_uri
from tests.parameters import make_parameters

# MLflow 3.17 itself, as it writes an input example with pandas 3.
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")

PARAMETERS = replace(
    make_parameters(rounds=30, stopping_rounds=5),
    until="2025-04",
    stop_from=date(2025, 3, 1),
    test_from=date(2025, 4, 1),
)


def write_rentals(place: Path) -> Path:
    """Four months of two stations, the clock's changes included; a warm Saturday afternoon has the most."""
    rng = np.random.default_rng(5)
    hours = pd.date_range("2025-01-01", "2025-04-30 23:00", freq="h")
    table = pd.DataFrame({"hour": np.repeat(hours, 2), "station": np.tile(["A001", "B017"], len(hours))})
    warmth = 8 + table["hour"].dt.day_of_year / 60 + 6 * np.sin((table["hour"].dt.hour - 8) / 24 * 2 * np.pi)
    expected = np.maximum(0.2, warmth) * np.where(table["hour"].dt.day_of_week >= 5, 1.5, 1)
    table["temperature"] = (warmth + rng.normal(0, 2, len(table))).round(1)
    table.loc[rng.random(len(table)) < 0.05, "temperature"] = np.nan
    table["rentals"] = rng.poisson(expected)
    # On Vienna's clocks an hour of that night never came.
    table = table[~table["hour"].between("2025-03-30 02:00", "2025-03-30 02:59")]
    table.to_csv(place, index=False, date_format="%Y-%m-%d %H:%M", na_rep="NA")
    return place


@dataclass(frozen=True)
class Made:
    """The folder of the model version, the metrics, and the data as it arrived by months."""

    folder: Path
    metrics: dict[str, float]
    raw: Path


@pytest.fixture(scope="module")
def made(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """What comes of it."""
    folder = tmp_path_factory.mktemp("template")
    shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch, restored_tracking_uri():
        patch.setattr(project, "DATA", write_rentals(folder / "rentals.csv"))
        assert PROJECT.fetch(folder / "raw", "2025-04") == ["2025-01", "2025-02", "2025-03", "2025-04"]
        finished = train(PROJECT, PARAMETERS, None, uri, True, Progress(io.StringIO()))
        client = load_mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)
        version = client.get_model_version_by_alias(finished.registered.name, "champion")
        place = client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
        yield Made(Path(place), finished.metrics, folder / "raw")


def test_the_service_takes_the_model_version(made: Made) -> None:
    """It answers the golden rows with numbers, as XGBoost does."""
    predictor = Predictor.load(made.folder, ModelVersion("rentals", "1", None, None, str(made.folder), True))
    verify(predictor)
    assert predictor.card is not None
    assert (predictor.card.task, predictor.card.classes) == ("regression", None)
    golden = json.loads((made.folder / "extra_files" / "golden.json").read_text())
    matrix = predictor.decoder.decode(
        json.dumps({"instances": golden["instances"]}).encode(), max_instances=1_000, unknown_is_missing=True
    ).matrix
    assert np.array_equal(predictor.forest.predictions(matrix), np.float32(golden["predictions"]))
    assert np.ptp(golden["predictions"]) > 5


def test_it_has_learnt_something(made: Made) -> None:
    """Every side is measured as numbers are, and the months that it was not fitted on."""
    assert made.metrics["test_r2"] > 0.3
    assert made.metrics["test_rmse"] < 6
    assert made.metrics["test_calibration_error"] < 0.3
    assert made.metrics["month_04_rmse"] == made.metrics["test_rmse"]
    card = Card.model_validate_json((made.folder / "extra_files" / "card.json").read_bytes())
    assert card.metrics == made.metrics
    assert card.data.first == "2025-01-01T00:00:00+01:00"


def test_months_are_the_whole(made: Made) -> None:
    """The same data set, bit by bit, from files of months and from the published one; and what there is of each."""
    said = io.StringIO()
    whole, arrived = (PROJECT.read(folder, "2025-04", Progress(said)) for folder in (None, made.raw))
    assert arrived.digest() == whole.digest()
    assert "5,758 rows, 5,756 instances with an outcome" in said.getvalue()
    counted = PROJECT.count(made.raw)
    assert counted.to_numpy().tolist() == [["2025-01", 1488], ["2025-02", 1344], ["2025-03", 1486], ["2025-04", 1440]]
    assert sorted(path.name for path in made.raw.iterdir())[0] == "rentals-2025-01.csv"


def test_nothing_of_a_later_month_is_used(made: Made) -> None:
    """Nor as the outcome of a month's last hour, which those who fetched the months until then do not have."""
    early = PROJECT.read(None, "2025-03", Progress(io.StringIO()))
    for file in made.raw.glob("*-2025-04.csv"):
        file.rename(file.with_suffix(".later"))
    try:
        arrived = PROJECT.read(made.raw, "2025-03", Progress(io.StringIO()))
    finally:
        for file in made.raw.glob("*.later"):
            file.rename(file.with_suffix(".csv"))
    assert early.digest() == arrived.digest()


def test_the_hour_that_never_came_is_none_that_is_missing(made: Made) -> None:
    """Of the night in March the hour after 1 is 3, by the clock of Vienna."""
    dataset = PROJECT.read(made.raw, "2025-04", Progress(io.StringIO()))
    moments = dataset.moments[dataset.moments.dt.strftime("%Y-%m-%d") == "2025-03-30"]
    assert moments.dt.hour.unique().tolist() == [0, 1, *range(3, 24)]


def test_a_month_that_has_not_come_is_told(made: Made, tmp_path: Path) -> None:
    """With the last one that has; and a folder without months is none."""
    with pytest.raises(DataInvalid, match="no rows of 2025-05; it ends with 2025-04"):
        PROJECT.fetch(tmp_path / "raw", "2025-05")
    with pytest.raises(DataInvalid, match="there are no such files in"):
        PROJECT.count(tmp_path)


def test_a_wrong_value_is_told_by_its_row(made: Made, tmp_path: Path) -> None:
    """In whichever month's file."""
    lines = (made.raw / "rentals-2025-02.csv").read_text().splitlines()
    lines[4] = lines[4].replace("2025-02-01 01:00", "2025-02-31 01:00")
    (tmp_path / "rentals-2025-02.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataInvalid, match="is not a moment such as 2013-01-31 13:00") as told:
        PROJECT.read(tmp_path, "2025-04", Progress(io.StringIO()))
    assert "rentals-2025-02.csv, column 'hour', row 5" in str(told.value)


def test_without_its_table_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In one line."""
    monkeypatch.setattr(project, "DATA", tmp_path / "rentals.csv")
    with pytest.raises(DataInvalid, match=r"rentals\.csv: there is no such file beside project\.py"):
        PROJECT.name_source(None)


def test_the_booster_is_a_plain_one(made: Made) -> None:
    """As every tool reads it."""
    booster = xgboost.Booster(model_file=made.folder / "model.ubj")
    assert json.loads(booster.save_config())["learner"]["objective"]["name"] == "reg:squarederror"
    assert FittedModel(booster, {"station": ["A001", "B017"]}, 1, []).predict(
        pd.DataFrame({"station": ["A001"], "hour_of_day": 15, "is_weekend": 1, "temperature": 25.0, "rentals": 30})
    ).shape == (1,)
