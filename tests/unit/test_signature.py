"""A signature is put together from booster, MLflow and card, and any contradiction refuses the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from app.errors import ModelUnfit
from app.signature import BoosterFeature, Category, FeatureType, Signature, build_signature

HOUR = BoosterFeature("hour", is_category=False)
CARRIER = BoosterFeature("carrier", is_category=True, stored_categories=(b"AA", b"DL"))
# As XGBoost 3.2 stores Zürich, São Paulo and 東京: one run of bytes, cut at counts of characters.
CITY = BoosterFeature("city", True, (b"Z\xc3\xbcric", b"hS\xc3\xa3o Pau", b"lo"))
CITIES = ["Zürich", "São Paulo", "東京"]


def column(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    """One column of MLflow's signature."""
    return {"name": name, "type": kind, **more}


def build(
    *features: BoosterFeature,
    columns: Sequence[Mapping[str, Any]] | None = None,
    card: Mapping[str, Sequence[Category]] | None = None,
) -> Signature:
    """`build_signature` with neither a signature nor a card unless given."""
    return build_signature(features, columns, card or {})


def refusal(*features: BoosterFeature, **given: Any) -> str:
    """Why the model is refused."""
    with pytest.raises(ModelUnfit) as caught:
        build(*features, **given)
    return str(caught.value)


def test_the_order_is_the_boosters_and_not_mlflows() -> None:
    """A column order in MLflow's signature that differs from the booster's changes no prediction."""
    built = build(CARRIER, HOUR, columns=[column("hour", "long"), column("carrier", "string")])
    assert [feature.name for feature in built.features] == ["carrier", "hour"]
    assert built.n_features == 2


@pytest.mark.parametrize(
    ("declared", "type_"),
    [
        ("double", FeatureType.NUMBER),
        ("float", FeatureType.NUMBER),
        ("integer", FeatureType.INTEGER),
        ("long", FeatureType.LONG),
        ("boolean", FeatureType.BOOLEAN),
    ],
)
def test_mlflow_has_the_word_on_the_type(declared: str, type_: FeatureType) -> None:
    """Each of MLflow's number types has its own rule in JSON."""
    assert build(HOUR, columns=[column("hour", declared)]).features[0].type is type_


@pytest.mark.parametrize(("more", "required"), [({}, True), ({"required": True}, True), ({"required": False}, False)])
def test_a_column_is_required_unless_mlflow_says_otherwise(more: dict[str, bool], required: bool) -> None:
    """MLflow leaves `required` out of old signatures and means yes."""
    assert build(HOUR, columns=[column("hour", "long", **more)]).features[0].required is required


def test_without_mlflows_signature_every_feature_is_an_optional_number() -> None:
    """A model logged without a signature can be served, by names alone."""
    hour, carrier = build(HOUR, CARRIER).features
    assert (hour.type, hour.required) == (FeatureType.NUMBER, False)
    assert (carrier.type, carrier.required, carrier.categories) == (FeatureType.CATEGORY, False, ("AA", "DL"))


def test_a_category_has_the_code_of_its_position() -> None:
    """XGBoost was trained with the position of a name; ours must be the same number."""
    assert build(CARRIER).features[0].codes == {"AA": 0.0, "DL": 1.0}


def test_integer_categories_stay_integers() -> None:
    """A model with numbered categories is asked with numbers."""
    gate = BoosterFeature("gate", True, (10, 20))
    feature = build(gate, columns=[column("gate", "long")], card={"gate": [10, 20]}).features[0]
    assert (feature.categories, feature.codes) == ((10, 20), {10: 0.0, 20: 1.0})


def test_an_empty_name_is_a_category() -> None:
    """`""` was a value in training like any other."""
    assert build(BoosterFeature("x", True, (b"", b"a"))).features[0].categories == ("", "a")


def test_the_card_spells_out_names_that_xgboost_does_not_keep_whole() -> None:
    """Non-ASCII names are served when the card lists them."""
    assert build(CITY, card={"city": CITIES}).features[0].categories == tuple(CITIES)


def test_names_that_xgboost_keeps_whole_agree_too() -> None:
    """A later XGBoost that stores non-ASCII names whole is not refused for it."""
    whole = BoosterFeature("city", True, tuple(name.encode() for name in CITIES))
    assert build(whole, card={"city": CITIES}).features[0].categories == tuple(CITIES)


def test_the_card_names_the_categories_that_a_sliced_booster_lost() -> None:
    """`booster[:n]` drops the names; the card still has them."""
    assert build(BoosterFeature("city", True), card={"city": CITIES}).features[0].categories == tuple(CITIES)


def test_non_ascii_categories_without_a_card_are_refused() -> None:
    """A name that may have been cut is not guessed at; the text says where to list it."""
    text = refusal(CITY)
    assert "'city'" in text
    assert "list its categories in code order in card.json" in text


def test_categories_that_nobody_names_are_refused() -> None:
    """A sliced booster without a card cannot be asked by name."""
    text = refusal(BoosterFeature("city", True))
    assert "'city'" in text
    assert "card.json" in text


@pytest.mark.parametrize(
    "listed",
    [["DL", "AA"], ["AA"], ["AA", "DL", "UA"], ["AA", "UA"], ["A", "ADL"], ["AAD", "L"], [0, 1], []],
    ids=["order", "fewer", "more", "other", "shifted left", "shifted right", "numbers", "none"],
)
def test_a_card_that_contradicts_the_booster_is_refused(listed: list[Category]) -> None:
    """Codes in another order would be silently wrong predictions."""
    text = refusal(CARRIER, card={"carrier": listed})
    assert "card.json and the booster disagree on the categories of 'carrier'" in text


@pytest.mark.parametrize(
    "listed",
    [["São Paulo", "Zürich", "東京"], ["Zürich", "São Paulo", "京東"][::-1], ["Zürich", "São Peulo", "東京"]],
    ids=["order", "reversed", "another name"],
)
def test_a_card_that_contradicts_the_cut_names_is_refused(listed: list[str]) -> None:
    """Also where XGBoost keeps only a part of the bytes, that part must agree."""
    assert "disagree" in refusal(CITY, card={"city": listed})


@pytest.mark.parametrize("listed", [["a", "a"], []], ids=["twice", "none"])
def test_a_list_that_is_no_list_of_categories_is_refused(listed: list[str]) -> None:
    """Where the booster has no names, the card's must make sense by themselves."""
    assert "the categories of 'x'" in refusal(BoosterFeature("x", True), card={"x": listed})


def test_a_card_that_lists_categories_of_a_number_is_refused() -> None:
    """The card was written for another booster."""
    assert "['hour']" in refusal(HOUR, card={"hour": ["1", "2"]})


def test_different_names_in_booster_and_signature_are_refused_with_both_lists() -> None:
    """Whoever logged the model sees which column is too many where."""
    text = refusal(HOUR, CARRIER, columns=[column("hour", "long"), column("day", "long")])
    assert "only in the signature ['day']" in text
    assert "only in the booster ['carrier']" in text


@pytest.mark.parametrize(
    ("feature", "declared", "wanted"),
    [
        (CARRIER, "double", "declare it as 'string'"),
        (BoosterFeature("gate", True, (1, 2)), "string", "declare it as 'long'"),
        (HOUR, "string", "declare it as one of ['boolean', 'double', 'float', 'integer', 'long']"),
        (HOUR, "datetime", "declare it as one of"),
        (HOUR, {"kind": "any"}, "declare it as one of"),
    ],
)
def test_a_type_that_contradicts_the_booster_is_refused(feature: BoosterFeature, declared: Any, wanted: str) -> None:
    """The text says what to declare instead."""
    assert wanted in refusal(feature, columns=[column(feature.name, declared)])


def test_mlflows_any_says_nothing_about_a_category() -> None:
    """MLflow writes `any` where pandas told it nothing."""
    assert build(CARRIER, columns=[column("carrier", "any")]).features[0].type is FeatureType.CATEGORY


def test_a_column_without_a_name_is_refused() -> None:
    """Features are named, never positional."""
    assert "without a name" in refusal(HOUR, columns=[{"type": "long"}])


def test_two_features_of_one_name_are_refused() -> None:
    """A JSON object cannot carry both."""
    assert "same name" in refusal(HOUR, HOUR)


def test_a_long_list_of_categories_is_cut_in_the_text() -> None:
    """A log line about a thousand airports stays readable."""
    many = BoosterFeature("dest", True, tuple(b"%d" % i for i in range(1000)))
    text = refusal(many, card={"dest": [f"d{i}" for i in range(1000)]})
    assert "1000 in all" in text
    assert len(text) < 500
