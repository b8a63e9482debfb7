"""A query is MLflow's own question to its server, and what is not there is told with what is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import ModelNotFound
from app.model_version import ModelVersion
from app.registry.query import RegistryQuery
from app.registry.rest import ask_rest
from tests.unit.registry.fake_server import FOUND, FakeServer

BY_ALIAS = RegistryQuery("flight-delay", "champion", None)
BY_VERSION = RegistryQuery("flight-delay", None, "7")
HTML = b"<html><body>Bad Gateway</body></html>"
# MLflow's own words, and codes.
NO_ALIAS = 400, "INVALID_PARAMETER_VALUE", "Registered model alias champion not found."
NO_VERSION = 404, "RESOURCE_DOES_NOT_EXIST", "Model Version (name=x, version=7) not found"


@pytest.mark.parametrize(
    ("query", "path", "parameters"),
    [
        (BY_ALIAS, "registered-models/alias", {"name": ["flight-delay"], "alias": ["champion"]}),
        (BY_VERSION, "model-versions/get", {"name": ["flight-delay"], "version": ["7"]}),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/", "/mlflow/"])
def test_the_question_is_mlflows_own(
    server: FakeServer, query: RegistryQuery, path: str, parameters: dict[str, list[str]], prefix: str
) -> None:
    """One GET, also behind a path prefix; the answer is a version whose files MLflow's client can download."""
    found = ask_rest(query, server.uri + prefix)
    expected = ModelVersion("flight-delay", "7", query.alias, "r7", "models:/flight-delay/7", is_immutable=True)
    assert found == expected
    assert server.asked == [(f"{prefix.rstrip('/')}/api/2.0/mlflow/{path}", parameters, None)]


def test_a_name_is_quoted(server: FakeServer) -> None:
    """Whatever the model is called."""
    ask_rest(RegistryQuery("a&b=ö ?", "x", None), server.uri)
    assert server.asked[0][1] == {"name": ["a&b=ö ?"], "alias": ["x"]}


@pytest.mark.parametrize("run_id", [{"run_id": ""}, {"run_id": None}, {}])
def test_a_version_without_a_run_has_none(server: FakeServer, run_id: dict[str, Any]) -> None:
    """One that was registered from files alone."""
    version = {name: value for name, value in FOUND["model_version"].items() if name != "run_id"} | run_id
    server.body = json.dumps({"model_version": version}).encode()
    assert ask_rest(BY_ALIAS, server.uri).run_id is None


def test_an_unknown_model_is_told_with_the_server_that_was_asked(server: FakeServer) -> None:
    """The wrong server is as likely as the wrong name."""
    server.fail(404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=flight-delay not found")
    with pytest.raises(ModelNotFound, match=f"registry at {server.uri} has no registered model 'flight-delay'"):
        ask_rest(BY_ALIAS, server.uri)


@pytest.mark.parametrize(
    ("aliases", "told"),
    [
        (
            [{"alias": "old", "version": "1"}, {"alias": "best", "version": "2"}],
            r"\(its aliases: 'best', 'old'\)\. Set",
        ),
        (None, r"\(its aliases: none\)"),
    ],
)
def test_an_unknown_alias_is_told_with_those_that_are_there(server: FakeServer, aliases: object, told: str) -> None:
    """MLflow answers it with 400, and leaves an empty list out of its answers."""
    server.fail(*NO_ALIAS)
    server.have("registered-models/get", {"registered_model": {"aliases": aliases} if aliases else {}})
    with pytest.raises(ModelNotFound, match=f"'flight-delay' has no alias 'champion' {told}"):
        ask_rest(BY_ALIAS, server.uri)


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        (["3", "1"], r"\(its versions: 3, 1\)\. Name another in the model URI$"),
        (list(map(str, range(20, 0, -1))), r"\(its versions: 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, …\)"),
        ([], r"\(its versions: none\)"),
    ],
)
def test_an_unknown_version_is_told_with_those_that_are_there(
    server: FakeServer, versions: list[str], told: str
) -> None:
    """By a search of MLflow's."""
    server.fail(*NO_VERSION)
    server.have("registered-models/get", {"registered_model": {}})
    server.have("model-versions/search", {"model_versions": [{"version": version} for version in versions]})
    with pytest.raises(ModelNotFound, match=f"'flight-delay' has no version 7 {told}"):
        ask_rest(BY_VERSION, server.uri)
    searched = server.asked[-1][1]
    assert (searched["filter"], searched["order_by"]) == (["name = 'flight-delay'"], ["version_number DESC"])


@pytest.mark.parametrize(("name", "searched"), [("l'été", 'name = "l\'été"'), ('a"b', "name = 'a\"b'")])
def test_a_search_quotes_the_name(server: FakeServer, name: str, searched: str) -> None:
    """In one of the two ways that MLflow reads."""
    server.fail(*NO_VERSION)
    server.have("registered-models/get", {"registered_model": {}})
    with pytest.raises(ModelNotFound):
        ask_rest(RegistryQuery(name, None, "7"), server.uri)
    assert server.asked[-1][1]["filter"] == [searched]


@pytest.mark.parametrize("path", ["registered-models/get", "model-versions/search"])
@pytest.mark.parametrize("body", [HTML, b"{}", b"[]", b'{"registered_model": 7, "model_versions": 7}'])
@pytest.mark.parametrize("status", [200, 403, 500])
def test_a_server_that_says_no_more_is_no_other_error(server: FakeServer, path: str, body: bytes, status: int) -> None:
    """That there is no such version it has said."""
    server.fail(*NO_VERSION)
    server.have("registered-models/get", {"registered_model": {}})
    server.have("model-versions/search", {"model_versions": [{"version": "1"}]})
    server.answers[path] = status, body
    with pytest.raises(ModelNotFound, match=r"has no version 7( \(its versions: (1|none)\))?\. Name"):
        ask_rest(BY_VERSION, server.uri)


def test_a_version_that_is_still_being_registered_is_not_served(server: FakeServer) -> None:
    """Its files may not be whole."""
    server.body = json.dumps({"model_version": FOUND["model_version"] | {"status": "PENDING_REGISTRATION"}}).encode()
    with pytest.raises(ModelNotFound, match="status is PENDING_REGISTRATION"):
        ask_rest(BY_ALIAS, server.uri)
