"""``POST /model/refresh`` and what `/model` says of the registry: what serves, and what should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.errors import ModelNotFound, RegistryUnreachable
from tests.boosters import ModelFolderBuilder
from tests.service.problems import problem_of
from tests.services import FakeRegistry, Service, run_service, wait

SLOW: dict[str, Any] = {"poll_interval_s": 3600}


def standing(service: Service) -> dict[str, Any]:
    """What `/model` says of the champion's standing."""
    told: dict[str, Any] = service.client.get("/model").json()["rollout"]["champion"]
    return told


@pytest.fixture
def registry(champion_folder: Path) -> FakeRegistry:
    """Version 7 of the champion."""
    return FakeRegistry(champion_folder)


def test_a_confirmed_version_is_what_the_registry_names(service: Service) -> None:
    """With the URI that names it, and since when that is known."""
    told = standing(service)
    assert told.pop("confirmed_s_ago") < 60
    assert told == {
        "uri": "models:/flight-delay@champion",
        "version": "7",
        "state": "confirmed",
        "reason": None,
        "rejected": None,
    }


def test_a_refresh_looks_at_once(registry: FakeRegistry, tmp_path: Path) -> None:
    """The next version serves before the interval is over; answers say so."""
    with run_service(registry, tmp_path / "log", **SLOW) as service:
        registry.version = "8"
        response = service.client.post("/model/refresh")
        assert (response.status_code, response.json()) == (202, {"refreshing": True})
        for _ in wait():
            if standing(service)["version"] == "8":
                break
        body = service.client.get("/model").json()["input_example"]
        assert service.client.post("/predict", json=body).json()["model"]["version"] == "8"


def test_an_outage_leaves_what_serves_unconfirmed(registry: FakeRegistry, tmp_path: Path) -> None:
    """And ready."""
    with run_service(registry, tmp_path / "log", **SLOW) as service:
        registry.failure = RegistryUnreachable("no answer")
        service.client.post("/model/refresh")
        for _ in wait():
            if standing(service)["state"] == "unconfirmed":
                break
        assert standing(service)["reason"] == "no answer"
        assert service.client.get("/readyz").status_code == 200


def test_a_rejected_version_is_named_with_its_reason(
    registry: FakeRegistry, tmp_path: Path, champion: ModelFolderBuilder
) -> None:
    """While the old one serves."""
    with run_service(registry, tmp_path / "log", **SLOW) as service:
        spoiled = champion.write(tmp_path / "spoiled")
        (spoiled / "model.ubj").write_bytes(b"{")
        registry.version, registry.folder = "8", spoiled
        service.client.post("/model/refresh")
        for _ in wait():
            if standing(service)["state"] == "rejected":
                break
        told = standing(service)
        assert (told["version"], told["rejected"]["version"]) == ("7", "8")
        assert "is not the file that card.json was written for" in told["rejected"]["reason"]
        assert service.client.get("/readyz").json()["version"] == "7"


def test_a_challenger_is_said(registry: FakeRegistry, tmp_path: Path) -> None:
    """Or that there is none, which is no trouble."""
    uri = "models:/flight-delay@challenger"
    with run_service(registry, tmp_path / "log", challenger_uri=uri, **SLOW) as service:
        for state, version, failure in (
            ("confirmed", "7", None),
            ("absent", None, ModelNotFound("no alias")),
            ("unconfirmed", None, RegistryUnreachable("no answer")),
        ):
            registry.failure = failure
            service.client.post("/model/refresh")
            for _ in wait():
                told = service.client.get("/model").json()["rollout"].get("challenger", {})
                if told.get("state") == state:
                    break
            assert (told["state"], told["version"], told["uri"]) == (state, version, uri)


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}])
def test_a_token_that_is_set_is_wanted(registry: FakeRegistry, tmp_path: Path, given: dict[str, str]) -> None:
    """From callers on the same machine too."""
    with run_service(registry, tmp_path / "log", operator_token="secret", **SLOW) as service:
        document = problem_of(service.client.post("/model/refresh", headers=given), 401, "not_authenticated")
        assert "TREESERVE_OPERATOR_TOKEN" in document["detail"]
        assert service.client.post("/model/refresh").headers["www-authenticate"] == "Bearer"
        right = {"Authorization": "Bearer secret"}
        assert service.client.post("/model/refresh", headers=right).status_code == 202


@pytest.mark.parametrize("host", ["10.0.0.7", "::ffff:10.0.0.7", "2001:db8::1", "testclient"])
def test_without_a_token_only_this_machine_may_ask(service: Service, host: str) -> None:
    """Whoever else it is."""
    stranger = TestClient(service.app, client=(host, 50_000))
    problem_of(stranger.post("/model/refresh"), 403, "not_an_operator")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_several_addresses(service: Service, host: str) -> None:
    """Of both families."""
    client = TestClient(service.app, client=(host, 50_000))
    assert client.post("/model/refresh").status_code == 202
