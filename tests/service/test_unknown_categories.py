"""The policy `missing`: an unknown category is predicted as a missing value, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.boosters import make_model
from tests.service.conftest import Serve
from tests.service.problems import GOOD, refuse_instances
from tests.services import Service

STRANGER = {**GOOD, "carrier": "ZZ"}


@pytest.fixture
def lenient(serve: Serve) -> Service:
    """The champion, served with TREESERVE_UNKNOWN_CATEGORY=missing."""
    return serve(unknown_category="missing")


def test_an_unknown_category_is_predicted_as_missing(lenient: Service) -> None:
    """The prediction is that of null, not of a neighbour in the alphabet."""
    stranger, null, known = lenient.predict(STRANGER, {**GOOD, "carrier": None}, GOOD)
    assert stranger == null != known


def test_an_unknown_category_is_told_in_the_warnings(lenient: Service) -> None:
    """The caller learns which value of which instance was not known; an answer without any has no warnings."""
    answer = lenient.client.post("/predict", json={"instances": [GOOD, STRANGER]}).json()
    assert answer["warnings"] == [
        {
            "pointer": "/instances/1/carrier",
            "code": "unknown_category",
            "detail": "'carrier' must be one of 'AA', 'DL', 'UA', not 'ZZ'",
        }
    ]
    assert "warnings" not in lenient.client.post("/predict", json={"instances": [GOOD]}).json()


def test_unknown_categories_are_counted_and_logged(lenient: Service) -> None:
    """An operator sees how many there are, an analyst in which instance and what was sent."""
    lenient.predict(GOOD, STRANGER, STRANGER)
    assert lenient.sample("treeserve_unknown_categories_total") == 2
    lines = lenient.log_lines(3)
    assert [line.get("treeserve.features.unknown") for line in lines] == [None, ["carrier"], ["carrier"]]
    assert [line["treeserve.features.category"]["carrier"] for line in lines] == ["UA", "ZZ", "ZZ"]


def test_a_number_is_still_no_category(lenient: Service) -> None:
    """The policy is about names that are new, not about values of the wrong type."""
    assert refuse_instances(lenient.client, {**GOOD, "carrier": 5}, STRANGER) == [
        ("/instances/0/carrier", "not_a_category")
    ]


def test_warnings_are_cut_at_a_thousand_and_counted_in_full(lenient: Service) -> None:
    """A batch of strangers is answered; its warnings do not outgrow it."""
    answer = lenient.client.post("/predict", json={"instances": [STRANGER] * 1_200}).json()
    assert len(answer["predictions"]) == 1_200
    assert len(answer["warnings"]) == 1_000
    assert lenient.sample("treeserve_unknown_categories_total") == 1_200


def test_the_card_may_make_missing_the_default(serve: Serve, tmp_path: Path) -> None:
    """A model version that expects new categories says so itself."""
    folder = make_model(card={"unknown_category": "missing"}).write(tmp_path / "model")
    assert serve(folder).client.post("/predict", json={"instances": [STRANGER]}).status_code == 200


def test_the_setting_overrules_the_card(serve: Serve, tmp_path: Path) -> None:
    """The operator's word stands over the model's."""
    folder = make_model(card={"unknown_category": "missing"}).write(tmp_path / "model")
    client = serve(folder, unknown_category="reject").client
    assert refuse_instances(client, STRANGER) == [("/instances/0/carrier", "unknown_category")]
