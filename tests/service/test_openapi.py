"""``GET /openapi.json`` and ``GET /model``: the API as it is for the model that serves."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.testclient import TestClient

from app.endpoints import openapi
from tests.boosters import CARRIERS, ModelFolderBuilder, make_model, make_table, make_target, train_booster
from tests.service.conftest import Serve
from tests.service.problems import GOOD
from tests.services import RUN_ID, FakeRegistry, run_service, wait

ODD_NAMES = ["class", "model_config", "a/b~c", "with space", "größe", "$ref", "{x}"]


def odd_model() -> ModelFolderBuilder:
    """A model whose features are called what no Python field may be called, plain numbers all."""
    table = make_table(n_rows=100)
    target = make_target(table)
    odd = pd.DataFrame({name: table["temp"] * (n + 1) for n, name in enumerate(ODD_NAMES)})
    return make_model(booster=train_booster(odd, target), inputs=None, table=odd, card=None)


def instance_schema(document: dict[str, Any]) -> dict[str, Any]:
    """The schema of one instance, found as a client generator finds it."""
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    instances = follow(document, body)["properties"]["instances"]
    return follow(document, instances["items"])


def follow(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema is, or refers to."""
    found: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/") if "$ref" in schema else []:
        found = found[step]
    return schema if "$ref" not in schema else dict(found)


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a feature's schema that is not null."""
    (only,) = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    return dict(only)


def accepts(document: dict[str, Any], body: Any) -> bool:
    """Whether the document's own schema finds a body of /predict valid."""
    schema = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return bool(Draft202012Validator({**schema, "components": document["components"]}).is_valid(body))


def test_others_are_answered_while_it_is_built(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of thousands of features takes a second to describe, once; which must cost no probe its answer."""
    began, gate = threading.Event(), threading.Event()
    n_builds = 0

    def build(*_: object) -> dict[str, str]:
        nonlocal n_builds
        n_builds += 1
        began.set()
        assert gate.wait(20)
        return {"openapi": "built"}

    monkeypatch.setattr(openapi, "_build", build)
    with ThreadPoolExecutor(4) as others:
        asked = [others.submit(client.get, "/openapi.json") for _ in range(4)]
        assert began.wait(20)
        assert client.get("/livez").status_code == 200
        gate.set()
        assert [one.result(20).json() for one in asked] == [{"openapi": "built"}] * 4
    assert n_builds == 1


def test_it_is_valid_openapi_with_and_without_a_model(client: TestClient, serve: Serve, tmp_path: Path) -> None:
    """Client generators can read it, also while no model serves."""
    (tmp_path / "empty").mkdir()
    for served in (client, serve(tmp_path / "empty", ready=False, cache_dir=tmp_path / "other").client):
        document = served.get("/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        OpenAPIV31SpecValidator(document).validate()


def test_the_document_shows_the_features_as_soon_as_the_model_serves(champion_folder: Path, tmp_path: Path) -> None:
    """A document that was read too early is not the one that stays."""
    registry = FakeRegistry(champion_folder, may_fetch=threading.Event())
    with run_service(registry, tmp_path / "log", ready=None) as service:
        assert "PredictBody" not in service.client.get("/openapi.json").text
        registry.may_fetch.set()
        for _ in wait():
            if service.client.get("/readyz").status_code == 200:
                break
        assert "carrier" in instance_schema(service.client.get("/openapi.json").json())["properties"]


def test_every_route_is_described(client: TestClient) -> None:
    """What a caller or an operator may use is in the document, each answer with its statuses."""
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/predict", "/feedback", "/model", "/model/refresh", "/livez", "/readyz", "/metrics"}
    assert set(paths["/predict"]["post"]["responses"]) == {"200", "400", "408", "413", "415", "422", "500", "503"}
    headers = {parameter["name"]: parameter["in"] for parameter in paths["/predict"]["post"]["parameters"]}
    assert headers == {"X-Request-ID": "header", "X-Caller-Key": "header", "traceparent": "header"}
    feedback = paths["/feedback"]["post"]
    assert set(feedback["responses"]) == {"202", "400", "404", "408", "413", "415", "422", "503"}
    outcomes = feedback["requestBody"]["content"]["application/json"]["schema"]["properties"]["outcomes"]
    assert list(outcomes["items"]["properties"]) == ["request_id", "instance", "outcome", "observed_at"]
    assert set(paths["/model"]["get"]["responses"]) == {"200", "503"}
    assert set(paths["/model/refresh"]["post"]["responses"]) == {"202", "401", "403"}


def test_it_shows_the_features_with_types_and_categories(client: TestClient) -> None:
    """Names, types, categories and what is required are the model's."""
    schema = instance_schema(client.get("/openapi.json").json())
    assert list(schema["properties"]) == ["carrier", "hour", "temp", "wind"]
    assert schema["required"] == ["carrier", "hour"]
    assert schema["additionalProperties"] is False
    assert plain(schema["properties"]["carrier"])["enum"] == CARRIERS
    assert plain(schema["properties"]["hour"])["type"] == "integer"
    assert plain(schema["properties"]["temp"])["type"] == "number"


def test_categories_are_open_where_unknown_ones_are_predicted_as_missing(serve: Serve) -> None:
    """Under the policy `missing` a generated client must not refuse a new category itself."""
    document = serve(unknown_category="missing").client.get("/openapi.json").json()
    carrier = plain(instance_schema(document)["properties"]["carrier"])
    assert "enum" not in carrier
    assert carrier["examples"] == CARRIERS
    assert accepts(document, {"instances": [{**GOOD, "carrier": "ZZ"}]})


def test_the_example_can_be_posted_as_it_is(client: TestClient) -> None:
    """What "Try it out" sends is answered."""
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert client.post("/predict", json=example).status_code == 200


@pytest.mark.parametrize(
    "instance",
    [
        GOOD,
        {"carrier": "UA", "hour": 1},
        {**GOOD, "carrier": None, "temp": None},
        {**GOOD, "hour": 17.0},
        {**GOOD, "carrier": "ZZ"},
        {**GOOD, "hour": 17.5},
        {**GOOD, "hour": True},
        {**GOOD, "hour": 2**63},
        {**GOOD, "temp": "39"},
        {**GOOD, "temp": 1e39},
        {**GOOD, "tmep": 1},
        {"hour": 1},
        [],
    ],
)
def test_the_document_and_the_service_agree_on_what_is_valid(client: TestClient, instance: Any) -> None:
    """A body that the schema allows is answered, and one that it forbids is refused."""
    body = {"instances": [instance]}
    answered = client.post("/predict", json=body).status_code == 200
    assert accepts(client.get("/openapi.json").json(), body) is answered


def test_an_answer_and_a_problem_are_as_described(client: TestClient) -> None:
    """What comes back is valid under the document's own schemas."""
    document = client.get("/openapi.json").json()
    responses = document["paths"]["/predict"]["post"]["responses"]
    for status, media, body in [
        ("200", "application/json", {"instances": [GOOD]}),
        ("422", "application/problem+json", {"instances": [{}]}),
        ("400", "application/problem+json", None),
    ]:
        response = client.post("/predict", content=b"{") if body is None else client.post("/predict", json=body)
        assert str(response.status_code) == status
        schema = {**responses[status]["content"][media]["schema"], "components": document["components"]}
        Draft202012Validator(schema).validate(response.json())


def test_features_may_be_called_anything(serve: Serve, tmp_path: Path) -> None:
    """Names that are keywords, pydantic's own or full of signs are shown, predicted and pointed at."""
    client = serve(odd_model().write(tmp_path / "model")).client
    document = client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert list(instance_schema(document)["properties"]) == ODD_NAMES
    example = client.get("/model").json()["input_example"]
    assert client.post("/predict", json=example).status_code == 200
    response = client.post("/predict", json={"instances": [{"a/b~c": "x"}]})
    assert response.json()["faults"][0]["pointer"] == "/instances/0/a~1b~0c"


def test_model_says_what_serves(client: TestClient) -> None:
    """Name, version, alias and run lead to the registry; signature and card say how to ask and what it means."""
    about = client.get("/model").json()
    assert {name: about[name] for name in ("name", "version", "alias", "run_id", "task", "unknown_category")} == {
        "name": "flight-delay",
        "version": "7",
        "alias": "champion",
        "run_id": RUN_ID,
        "task": "binary_classification",
        "unknown_category": "reject",
    }
    assert about["prediction"] == {
        "meaning": "the probability that it happens",
        "objective": "binary:logistic",
        "decision_threshold": 0.5,
        "classes": None,
    }
    assert about["signature"]["features"] == [
        {"name": "carrier", "type": "category", "required": True, "categories": CARRIERS},
        {"name": "hour", "type": "long", "required": True, "categories": None},
        {"name": "temp", "type": "number", "required": False, "categories": None},
        {"name": "wind", "type": "number", "required": False, "categories": None},
    ]
    assert about["limits"] == {"max_instances": 10_000, "max_body_bytes": 16 * 2**20}
    assert about["training"]["git_commit"] == "abc123"
    assert about["training"]["data"]["n_rows"] == 400
    assert client.post("/predict", json=about["input_example"]).status_code == 200


def test_model_shows_the_reference_profile(serve: Serve, tmp_path: Path) -> None:
    """As the training wrote it: bins, edges, counts."""
    folder = make_model(with_profile=True).write(tmp_path / "model")
    about = serve(folder).client.get("/model").json()
    assert about["profile"] == json.loads((folder / "extra_files" / "profile.json").read_text(encoding="utf-8"))
    assert [feature["name"] for feature in about["profile"]["features"]] == ["carrier", "hour", "temp", "wind"]


def test_model_without_card_and_signature_says_so(serve: Serve, tmp_path: Path) -> None:
    """Nothing is made up: what no file says is null, every feature is optional, and the example still works."""
    client = serve(make_model(card=None, inputs=None, with_golden=False).write(tmp_path / "model")).client
    about = client.get("/model").json()
    assert about["task"] is about["training"] is about["profile"] is about["prediction"]["meaning"] is None
    assert not any(feature["required"] for feature in about["signature"]["features"])
    assert {feature["type"] for feature in about["signature"]["features"]} == {"category", "number"}
    assert client.post("/predict", json=about["input_example"]).status_code == 200
