"""Instances that the model's signature does not allow: every fault, its place and its code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.boosters import INPUTS, make_model, make_table, make_target, train_booster
from tests.service.conftest import Serve
from tests.service.problems import GOOD, details, places, refuse, refuse_instances

BIG = 10**400


def refuse_text(client: TestClient, name: str, text: str) -> dict[str, Any]:
    """Post one instance in which a feature has the JSON text `text`."""
    others = {key: value for key, value in GOOD.items() if key != name}
    instance = json.dumps(others)[:-1] + f', "{name}": {text}}}'
    return refuse(client, f'{{"instances": [{instance}]}}'.encode(), 422, "invalid_request")


@pytest.mark.parametrize(
    ("name", "nearest"), [("tmep", "temp"), ("Temp", "temp"), ("carier", "carrier"), ("HOUR", "hour")]
)
def test_an_unknown_feature_is_told_the_nearest_name(client: TestClient, name: str, nearest: str) -> None:
    """A misspelt feature is never ignored; the caller is told which one was perhaps meant."""
    document = refuse_text(client, name, "1")
    assert (f"/instances/0/{name}", "unknown_feature") in places(document)
    assert f"did you mean '{nearest}'?" in details(document)


def test_an_unknown_feature_like_no_other_is_sent_to_get_model(client: TestClient) -> None:
    """Where no name is near, the caller is told where the names stand."""
    document = refuse_text(client, "altitude/ft", "1")
    assert places(document) == [("/instances/0/altitude~1ft", "unknown_feature")]
    assert "GET /model" in details(document)


def test_a_missing_required_feature_is_named(client: TestClient) -> None:
    """The caller learns which features are missing, and that null would do."""
    document = refuse(client, b'{"instances": [{"temp": 1.0}]}', 422, "invalid_request")
    assert places(document) == [
        ("/instances/0/carrier", "missing_feature"),
        ("/instances/0/hour", "missing_feature"),
    ]
    assert "send null" in details(document)


@pytest.mark.parametrize("text", ['"39.0"', '"warm"', '""', "true", "{}", "[1]"])
def test_what_is_no_number_is_refused_where_a_number_belongs(client: TestClient, text: str) -> None:
    """Nothing is converted: not a string that looks like a number, not a boolean."""
    assert places(refuse_text(client, "temp", text)) == [("/instances/0/temp", "not_a_number")]


@pytest.mark.parametrize("text", ["17.5", '"17"', "true", "1e-3", "[]"])
def test_what_is_no_integer_is_refused_where_an_integer_belongs(client: TestClient, text: str) -> None:
    """A fraction is not rounded."""
    assert places(refuse_text(client, "hour", text)) == [("/instances/0/hour", "not_an_integer")]


@pytest.mark.parametrize("text", ["17.0", "1.7e1", "17"])
def test_an_integer_may_be_written_as_a_float(client: TestClient, text: str) -> None:
    """JavaScript and JSON know one kind of number; 17.0 is 17."""
    body = f'{{"instances": [{{"carrier": "UA", "hour": {text}}}]}}'
    assert client.post("/predict", content=body).status_code == 200


@pytest.mark.parametrize("text", ["17", "1.5", "true", "[]", "{}"])
def test_what_is_no_string_is_refused_where_a_category_belongs(client: TestClient, text: str) -> None:
    """A number is not taken for the category's code."""
    document = refuse_text(client, "carrier", text)
    assert places(document) == [("/instances/0/carrier", "not_a_category")]
    assert "'AA', 'DL', 'UA'" in details(document)


@pytest.mark.parametrize("text", ['"BB"', '"ua"', '"UA "', '""', '"ZZ"'])
def test_an_unknown_category_lists_the_known_ones(client: TestClient, text: str) -> None:
    """XGBoost would read BB as DL; here it is an error that lists the categories there are."""
    document = refuse_text(client, "carrier", text)
    assert places(document) == [("/instances/0/carrier", "unknown_category")]
    assert details(document) == f"'carrier' must be one of 'AA', 'DL', 'UA', not {text.replace(chr(34), chr(39))}"


def test_a_long_list_of_categories_and_a_long_value_are_shortened(serve: Serve, tmp_path: Path) -> None:
    """A hundred categories and a value of a megabyte make a readable sentence, not a page."""
    carriers = [f"C{number:03}" for number in range(100)]
    table = make_table(carriers=carriers)
    model = make_model(booster=train_booster(table, make_target(table)), table=table, card=None)
    client = serve(model.write(tmp_path / "model")).client
    document = refuse_text(client, "carrier", f'"{"x" * 1_000_000}"')
    assert "'C000', 'C001'" in details(document)
    assert "100 in all" in details(document)
    assert "C099" not in details(document)
    assert len(details(document)) < 400


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", ["temp", "hour", "carrier"])
def test_nan_and_infinity_are_refused_everywhere(client: TestClient, name: str, text: str) -> None:
    """They are not JSON, though Python writes them; null is a missing value, and the caller is told so."""
    document = refuse_text(client, name, text)
    assert places(document) == [(f"/instances/0/{name}", "not_finite")]
    assert "null" in details(document)


@pytest.mark.parametrize("text", ["3.5e38", "-3.5e38", "1e309", "-1e309", str(BIG), "1" * 5_000])
def test_a_number_beyond_float32_is_refused(client: TestClient, text: str) -> None:
    """XGBoost would see infinity; the caller sees the range."""
    document = refuse_text(client, "temp", text)
    assert places(document) == [("/instances/0/temp", "out_of_range")]
    assert "float32" in details(document)


@pytest.mark.parametrize("text", ["3.4028234663852886e38", "-3.4028234663852886e38", "1e-400", "-0.0", "5e-324"])
def test_the_largest_and_the_smallest_numbers_are_answered(client: TestClient, text: str) -> None:
    """The whole range of float32 is valid, its ends too."""
    body = f'{{"instances": [{{"carrier": "UA", "hour": 1, "temp": {text}}}]}}'
    assert client.post("/predict", content=body).status_code == 200


@pytest.mark.parametrize("text", [str(2**63), str(-(2**63) - 1), "1e30", "1" * 5_000])
def test_an_integer_beyond_64_bits_is_refused(client: TestClient, text: str) -> None:
    """A long has 64 bits, as MLflow's signature declares it."""
    document = refuse_text(client, "hour", text)
    assert places(document) == [("/instances/0/hour", "out_of_range")]
    assert "64 bits" in details(document)


def test_integers_of_32_bits_and_booleans_are_held_to_their_types(serve: Serve, tmp_path: Path) -> None:
    """A signature with `integer` and `boolean` columns refuses what does not fit them."""
    types = {"carrier": "string", "hour": "integer", "temp": "double", "wind": "boolean"}
    model = make_model(inputs=[{**column, "type": types[column["name"]]} for column in INPUTS], with_golden=False)
    client = serve(model.write(tmp_path / "model")).client
    good = {"carrier": "UA", "hour": 2**31 - 1, "wind": True}
    assert client.post("/predict", json={"instances": [good, {**good, "hour": -(2**31)}]}).status_code == 200
    assert refuse_instances(client, {**good, "hour": 2**31}, {**good, "wind": 1}, {**good, "wind": "true"}) == [
        ("/instances/0/hour", "out_of_range"),
        ("/instances/1/wind", "not_a_boolean"),
        ("/instances/2/wind", "not_a_boolean"),
    ]


def test_every_fault_of_every_instance_is_told_at_once(client: TestClient) -> None:
    """A caller mends all faults after one request; good instances in between are not pointed at."""
    assert refuse_instances(
        client,
        {"carrier": "XX", "hour": "late", "temp": 1e39},
        GOOD,
        {"hour": 1, "tmep": 1},
        [],
        {**GOOD, "wind": True},
    ) == [
        ("/instances/0/hour", "not_an_integer"),
        ("/instances/0/temp", "out_of_range"),
        ("/instances/0/carrier", "unknown_category"),
        ("/instances/2/tmep", "unknown_feature"),
        ("/instances/2/carrier", "missing_feature"),
        ("/instances/3", "not_an_object"),
        ("/instances/4/wind", "not_a_number"),
    ]


def test_more_than_a_thousand_faults_are_counted_and_the_first_thousand_listed(client: TestClient) -> None:
    """The answer stays small, and still says how many faults there are in all."""
    bad = {"carrier": "XX", "hour": "late", "temp": "warm"}
    document = refuse(client, json.dumps({"instances": [bad] * 500}).encode(), 422, "invalid_request")
    assert document["n_faults"] == 1_500
    assert len(document["faults"]) == 1_000
    assert "1500 faults" in document["detail"]
    assert "first 1000" in document["detail"]
