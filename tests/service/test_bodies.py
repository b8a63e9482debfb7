"""``treeserve bodies`` against the real app: whatever the model, what is drawn for it is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.bodies.drawing import draw_bodies
from app.bodies.served_model import ServedModel
from app.errors import BodiesUnavailable
from tests.boosters import ModelFolderBuilder, make_model, train_booster
from tests.service.conftest import Serve
from tests.services import Service

CITIES = ["Zürich", 'a"b\\', "line\nend\u2028", "", "東京"]
GATES = [10, 20, -3]
TYPES = {"Größe": "long", "a/b": "double", "single": "float", "n": "integer", "is it?": "boolean"}


def make_model_of_every_type(**changes: Any) -> ModelFolderBuilder:
    """A model with a feature of every type, the names of which, and of its categories, are full of signs."""
    rng = np.random.default_rng(3)
    n_rows = 300
    table = pd.DataFrame(
        {
            "city": pd.Categorical(rng.choice(np.array(CITIES, dtype=object), n_rows), categories=CITIES),
            "gate": pd.Categorical(rng.choice(GATES, n_rows), categories=GATES),
            "Größe": rng.integers(-(2**40), 2**40, n_rows),
            "a/b": np.where(rng.random(n_rows) < 0.3, np.nan, rng.normal(0, 1e30, n_rows)),
            "single": rng.random(n_rows),
            "n": rng.integers(-3, 3, n_rows),
            "is it?": rng.random(n_rows) < 0.9,
        }
    )
    signal = table["city"].cat.codes + table["n"] + 3 * table["single"] + rng.normal(0, 1, n_rows)
    booster = train_booster(table, (signal > signal.median()).to_numpy())
    columns = {"city": "string", "gate": "long", **TYPES}
    inputs = [{"name": name, "type": kind, "required": name != "a/b"} for name, kind in columns.items()]
    given = {
        "booster": booster,
        "table": table,
        "inputs": inputs,
        "card": {"categories": {"city": CITIES, "gate": GATES}},
    }
    return make_model(**given | changes)


MODELS: dict[str, Callable[[], ModelFolderBuilder]] = {
    "with a profile": lambda: make_model(with_profile=True),
    "without a profile": make_model,
    "without anything": lambda: make_model(inputs=None, card=None, with_golden=False),
    "of every type": lambda: make_model_of_every_type(with_profile=True),
    "of every type, without a profile": make_model_of_every_type,
}


def draw(service: Service, n_bodies: int, n_instances: int = 1) -> list[bytes]:
    """What the command writes for the model that is served."""
    return list(
        draw_bodies(ServedModel.model_validate_json(service.client.get("/model").content), n_bodies, n_instances)
    )


def post(service: Service, bodies: Sequence[bytes]) -> list[list[float]]:
    """The predictions of each body, all of which must be answered, and none with a warning."""
    answers = [
        service.client.post("/predict", content=body, headers={"Content-Type": "application/json"}) for body in bodies
    ]
    assert {answer.status_code for answer in answers} == {200}, next(a.text for a in answers if a.status_code != 200)
    assert not any("warnings" in answer.json() for answer in answers)
    return [answer.json()["predictions"] for answer in answers]


@pytest.mark.parametrize("name", MODELS)
def test_every_body_is_answered_and_no_two_are_alike(serve: Serve, tmp_path: Path, name: str) -> None:
    """With every feature named, values that vary in each of them, and predictions that vary too."""
    service = serve(MODELS[name]().write(tmp_path / "model"))
    bodies = draw(service, 200)
    predictions = post(service, bodies)
    assert len(set(bodies)) == 200
    assert len({prediction for [prediction] in predictions}) > 10
    instances = [json.loads(body)["instances"][0] for body in bodies]
    names = [feature["name"] for feature in service.client.get("/model").json()["signature"]["features"]]
    assert all(list(instance) == names for instance in instances)
    assert all(len({instance[name] for instance in instances}) > 1 for name in names)


@pytest.mark.parametrize("name", ["with a profile", "of every type, without a profile"])
def test_batches_are_answered_too(serve: Serve, tmp_path: Path, name: str) -> None:
    """As many instances in each as were asked for."""
    service = serve(MODELS[name]().write(tmp_path / "model"))
    bodies = draw(service, 10, n_instances=30)
    assert [len(predictions) for predictions in post(service, bodies)] == [30] * 10
    assert len(set(bodies)) == 10


def test_the_same_model_gets_the_same_bodies(serve: Serve, tmp_path: Path) -> None:
    """Two load tests ask the same, also of two processes; and fewer bodies are the first of more."""
    folder = make_model_of_every_type(with_profile=True).write(tmp_path / "model")
    bodies = draw(serve(folder), 50)
    assert draw(serve(folder), 50) == bodies
    assert draw(serve(folder), 20) == bodies[:20]


def test_what_the_service_would_refuse_for_its_size_is_not_drawn(serve: Serve) -> None:
    """The service says what it takes, whatever its settings; exactly as much is still drawn and answered."""
    service = serve(max_instances=5, max_body_bytes=400)
    assert post(service, draw(service, 3, n_instances=5))
    with pytest.raises(BodiesUnavailable, match="at most 5 instances"):
        draw(service, 1, n_instances=6)
    with pytest.raises(BodiesUnavailable, match=r"has \d+ bytes, and the service takes at most 100"):
        draw(serve(max_body_bytes=100), 1, n_instances=5)
