"""The files beside the booster are exactly what their schema says, or the model is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.artifacts import MAX_GOLDEN_INSTANCES, Artifact, Card, GoldenRows, read_artifact, write_artifact
from app.errors import ModelUnfit
from tests.boosters import make_card

GOLDEN: dict[str, Any] = {"format_version": 1, "instances": [{"hour": 1}], "margins": [0.5], "predictions": [0.6]}


@pytest.fixture
def card(tmp_path: Path) -> dict[str, Any]:
    """A valid card, as JSON holds it."""
    booster = tmp_path / "model.ubj"
    booster.write_bytes(b"{}")
    document: dict[str, Any] = json.loads(make_card(booster).model_dump_json())
    return document


def refusal(kind: type[Artifact], path: Path, content: bytes | str | dict[str, Any]) -> str:
    """Why a file is refused."""
    text = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelUnfit) as caught:
        read_artifact(kind, path)
    return str(caught.value)


@pytest.mark.parametrize("categories", [{"carrier": ["AA", "Zürich", ""]}, {"gate": [1, 2]}, {}])
def test_what_was_written_is_what_is_read(tmp_path: Path, card: dict[str, Any], categories: dict[str, Any]) -> None:
    """Training and service see the same card, names in every script and numbers alike."""
    written = Card.model_validate(card | {"categories": categories})
    write_artifact(written, tmp_path / "card.json")
    assert read_artifact(Card, tmp_path / "card.json") == written


def test_a_golden_row_keeps_every_type_of_value(tmp_path: Path) -> None:
    """A boolean stays one, an integer stays one: they are sent through the codec again."""
    instance = {"a": "x", "b": True, "c": 3, "d": 2.5, "e": None}
    write_artifact(GoldenRows.model_validate(GOLDEN | {"instances": [instance]}), tmp_path / "golden.json")
    read = read_artifact(GoldenRows, tmp_path / "golden.json")
    assert read is not None
    assert [(value, type(value)) for value in read.instances[0].values()] == [
        (value, type(value)) for value in instance.values()
    ]


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    """A model logged without our training code has no card, and that is no fault."""
    assert read_artifact(Card, tmp_path / "card.json") is None


def test_a_later_format_is_refused_and_never_guessed_at(tmp_path: Path, card: dict[str, Any]) -> None:
    """A card from a future treeserve may mean something else by the same names."""
    text = refusal(Card, tmp_path / "card.json", card | {"format_version": 2})
    assert text.startswith("card.json of the model is not valid at /format_version")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"task": "clustering"}, "/task"),
        ({"unknown_category": "ignore"}, "/unknown_category"),
        ({"booster_sha256": "abc"}, "/booster_sha256"),
        ({"booster_sha256": "g" * 64}, "/booster_sha256"),
        ({"decision_threshold": "0.5"}, "/decision_threshold"),
        ({"metrics": {"auc": "0.7"}}, "/metrics/auc"),
        ({"categories": {"carrier": [1, "a"]}}, "/categories/carrier"),
        ({"categories": {"carrier": [True]}}, "/categories/carrier"),
        ({"owner": "me"}, "/owner"),
        ({"data": {"name": "x"}}, "/data"),
        ({"git_commit": 7}, "/git_commit"),
    ],
)
def test_a_field_that_is_not_as_the_schema_says_is_named(
    tmp_path: Path, card: dict[str, Any], change: dict[str, Any], place: str
) -> None:
    """Whoever wrote the card is told the file and the place in it."""
    assert f"card.json of the model is not valid at {place}" in refusal(Card, tmp_path / "card.json", card | change)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, number: str) -> None:
    """A golden row of NaN would agree with nothing, or with everything."""
    text = json.dumps(GOLDEN).replace("0.5", number)
    assert "/margins" in refusal(GoldenRows, tmp_path / "golden.json", text)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b'{"a": "\\ud800"}', b"[" * 100_000], ids=lambda c: repr(c[:16])
)
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    """A cut or foreign file never gets as far as serving."""
    assert "card.json of the model is not valid" in refusal(Card, tmp_path / "card.json", content)


@pytest.mark.parametrize("n_instances", [0, MAX_GOLDEN_INSTANCES + 1])
def test_golden_rows_are_some_and_not_too_many(tmp_path: Path, n_instances: int) -> None:
    """No rows prove nothing, a million of them would hold every start up."""
    text = refusal(GoldenRows, tmp_path / "golden.json", GOLDEN | {"instances": [{"hour": 1}] * n_instances})
    assert "/instances" in text


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A folder in the file's place is told like any other fault of the model."""
    (tmp_path / "card.json").mkdir()
    with pytest.raises(ModelUnfit, match=r"card\.json of the model cannot be read: Is a directory"):
        read_artifact(Card, tmp_path / "card.json")


def test_an_artifact_never_changes_after_reading() -> None:
    """What was verified is what serves."""
    golden = GoldenRows.model_validate(GOLDEN)
    with pytest.raises(ValueError, match="frozen"):
        golden.format_version = 1  # type: ignore[misc]
