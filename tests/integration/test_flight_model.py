"""The model that ships, trained on a twentieth of the flights: served, it answers as XGBoost does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bodies.drawing import draw_bodies
from app.bodies.served_model import ServedModel
from app.registry.registry import MlflowRegistry
from tests.equality import assert_same_bits
from tests.integration.training import Trained
from tests.services import FakeRegistry, Service, run_service

pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")  # of MLflow's own use of pandas

TEXTS = ("carrier", "origin", "dest")


@dataclass
class FlightModel:
    """The served model, and what is needed to ask XGBoost the same."""

    service: Service
    booster: xgboost.Booster
    flights: pd.DataFrame
    fitted: pd.DataFrame
    categories: dict[str, list[str]]

    def expect(self, rows: list[dict[str, Any]]) -> Any:
        """XGBoost's own answers; a name that the model was not fitted on is a missing value."""
        columns: dict[str, Any] = {}
        for name in self.flights.columns:
            values = [row.get(name) for row in rows]
            if name in TEXTS:
                known = [value if value in self.categories[name] else None for value in values]
                columns[name] = pd.Categorical(known, categories=self.categories[name])
            else:
                columns[name] = np.array(values, dtype=np.float64)
        return self.booster.predict(xgboost.DMatrix(pd.DataFrame(columns), enable_categorical=True))


@pytest.fixture(scope="module")
def flights(trained: Trained, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlightModel]:
    """Train, register and serve the example, each with the code that does it for users."""
    from model.flights.features import build_dataset
    from model.flights.tables import find_data, read_tables
    from tests.parameters import STOP_FROM

    folder = tmp_path_factory.mktemp("flights")
    dataset, _ = build_dataset(read_tables(find_data(sample)))
    fitted = dataset.features[(dataset.moments < STOP_FROM).to_numpy()]
    registry = MlflowRegistry(trained.uri, folder / "cache")
    model_folder = registry.fetch(registry.resolve("models:/flight-delay@champion"))
    with run_service(FakeRegistry(model_folder), folder / "log") as service:
        yield FlightModel(
            service,
            xgboost.Booster(model_file=model_folder / "model.ubj"),
            dataset.features,
            fitted,
            {name: sorted(set(fitted[name].dropna())) for name in TEXTS},
        )


def to_row(flight: Any) -> dict[str, Any]:
    """A flight as a client sends it."""
    row = {str(name): None if pd.isna(value) else value for name, value in flight.items()}
    whole = ("hour", "minute", "day_of_week", "distance", "sched_minutes")
    return {name: int(value) if name in whole and value is not None else value for name, value in row.items()}


@st.composite
def perturbed(draw: st.DrawFn, flights: FlightModel, edges: dict[str, list[float]]) -> dict[str, Any]:
    """A real flight, some of whose features are missing, another flight's, on a split's edge, or never seen."""
    rows = st.integers(0, len(flights.flights) - 1).map(lambda at: to_row(flights.flights.iloc[at]))
    row = draw(rows)
    for name in draw(st.lists(st.sampled_from(list(row)), max_size=6, unique=True)):
        choices = [st.none(), rows.map(itemgetter(name))]
        if name in TEXTS:
            choices.append(st.text(max_size=4))
        elif isinstance(row[name], int):
            choices.append(st.integers(-(2**40), 2**40))
        else:
            choices.append(st.floats(-1e38, 1e38))
            choices += [st.sampled_from(edges[name])] if name in edges else []
        row[name] = draw(st.one_of(choices))
    return row


def edges_of(booster: xgboost.Booster) -> dict[str, list[float]]:
    """Each number's thresholds, with the float32 below and above each."""
    splits = booster.trees_to_dataframe().dropna(subset="Split")
    edges: dict[str, list[float]] = {}
    for name, threshold in zip(splits["Feature"], splits["Split"].to_numpy(np.float32), strict=True):
        around = (threshold, np.nextafter(threshold, np.float32(-np.inf)), np.nextafter(threshold, np.float32(np.inf)))
        edges.setdefault(name, []).extend(map(float, around))
    return edges


def test_real_flights_are_answered_as_xgboost_answers_them(flights: FlightModel) -> None:
    """Five thousand flights of the whole year, with new destinations and missing weather, in one request."""
    sample = flights.flights.sample(5_000, random_state=0)
    rows = [to_row(flight) for _, flight in sample.iterrows()]
    assert any(value is None for row in rows for value in row.values())
    expected = flights.expect(rows)
    assert expected.std() > 0.05
    assert_same_bits(flights.service.predict(*rows), expected)


def test_any_perturbed_flights_are_answered_as_xgboost_answers_them(flights: FlightModel) -> None:
    """Missing, exchanged, unknown and extreme values in real flights: the same bits."""
    edges = edges_of(flights.booster)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(perturbed(flights, edges), min_size=1, max_size=20))
    def check(rows: list[dict[str, Any]]) -> None:
        assert_same_bits(flights.service.predict(*rows), flights.expect(rows))

    check()


def test_a_new_destination_is_a_warning_as_the_models_card_says(flights: FlightModel) -> None:
    """The flight model asks for new names to be predicted as missing, and the answer names them."""
    row = to_row(flights.flights.iloc[0])
    answer = flights.service.client.post("/predict", json={"instances": [{**row, "dest": "XXX"}]}).json()
    assert answer["predictions"] == flights.service.predict({**row, "dest": None})
    assert [warning["pointer"] for warning in answer["warnings"]] == ["/instances/0/dest"]


def test_the_models_own_description_is_complete(flights: FlightModel) -> None:
    """The pages that explain the service have what the training wrote: meaning, data, commit, metrics, categories."""
    about = flights.service.client.get("/model").json()
    assert about["task"] == "binary_classification"
    assert "15 minutes late" in about["prediction"]["meaning"]
    assert about["unknown_category"] == "missing"
    assert about["training"]["data"]["n_rows"] > 5_000
    assert 0.5 < about["training"]["metrics"]["test_auc"] < 0.9
    assert {feature["name"] for feature in about["profile"]["features"]} == set(flights.flights.columns)
    listed = {feature["name"]: feature["categories"] for feature in about["signature"]["features"]}
    assert {name: listed[name] for name in TEXTS} == flights.categories
    assert list(listed) == list(flights.flights.columns)
    assert flights.service.client.post("/predict", json=about["input_example"]).status_code == 200


def test_bodies_made_up_for_the_model_are_answered_and_look_like_flights(flights: FlightModel) -> None:
    """Carriers are as frequent as in the fitted rows, departures as late in the day, and nothing is unknown."""
    model = ServedModel.model_validate_json(flights.service.client.get("/model").content)
    rows = [row for body in draw_bodies(model, 40, 50) for row in json.loads(body)["instances"]]
    answer = flights.service.client.post("/predict", json={"instances": rows}).json()
    assert len(answer["predictions"]) == len(rows) == 2_000
    assert "warnings" not in answer
    drawn, real = pd.DataFrame(rows), flights.fitted
    for name in ("carrier", "origin"):
        difference = drawn[name].value_counts(normalize=True).sub(real[name].value_counts(normalize=True), fill_value=0)
        assert difference.abs().max() < 0.04
    assert drawn["hour"].mean() == pytest.approx(real["hour"].mean(), abs=0.5)
    assert drawn["plane_age"].isna().mean() == pytest.approx(real["plane_age"].isna().mean(), abs=0.04)
    assert not drawn["distance"].isna().any()
