"""The documented instance and the wire codec accept the same: two accounts of one thing, held together."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from app.endpoints.openapi import instance_model
from app.errors import InvalidRequest
from app.signature import Feature, FeatureType, Signature
from app.wire.decoder import InstancesDecoder
from app.wire.features import FLOAT32_MAX

# Names that pydantic, Python or a JSON pointer would rather not see.
SIGNATURE = Signature(
    (
        Feature("class", FeatureType.CATEGORY, required=True, categories=("AA", "Zürich", "", "true", "1")),
        Feature("model_config", FeatureType.CATEGORY, categories=(0, 1, -3, 2**40)),
        Feature("a/b", FeatureType.NUMBER, required=True),
        Feature("a~b", FeatureType.INTEGER),
        Feature("Größe", FeatureType.LONG),
        Feature("", FeatureType.BOOLEAN),
        Feature("feature_1", FeatureType.NUMBER),
        Feature("model_fields", FeatureType.INTEGER),
        Feature("__class__", FeatureType.LONG),
        Feature("self", FeatureType.BOOLEAN),
    )
)
NAMES = [feature.name for feature in SIGNATURE.features]
DECODER = InstancesDecoder(SIGNATURE)
MODELS = {policy: instance_model(SIGNATURE, unknown_is_missing=policy) for policy in (False, True)}
SCHEMAS = {policy: Draft202012Validator(model.model_json_schema()) for policy, model in MODELS.items()}

LIMITS = [2**31, 2**63, 2**53, FLOAT32_MAX, math.nextafter(FLOAT32_MAX, math.inf), 2.0**31, 2.0**63]
NUMBERS = [sign * number + step for number in LIMITS for sign in (1, -1) for step in (-1, 0, 1)]
TOKENS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "-0.0", "3.0", "3.5", "1E2", "9" * 5000]
TOKENS += ["null", "true", "false", "0", "1", "1.0", '"1"', '"3"', '"true"', '"NaN"', '"AA"', '"UA"', '""', "[]", "{}"]
# Not JSON at all, or more digits than Python reads.
BEYOND_JSON = {"NaN", "Infinity", "-Infinity", "9" * 5000}
# Values as JSON text. Two kinds are left out: a lone surrogate, "\ud800", is no JSON to pydantic and a name to the
# codec; an integer beyond float32's largest by less than float64 can tell is too large to the codec alone.
VALUES = (
    st.sampled_from([*TOKENS, *map(json.dumps, NUMBERS), *map(json.dumps, ("Zürich", "Zu\u0308rich", "aa"))])
    | st.integers().map(json.dumps)
    | st.floats().map(json.dumps)
    | st.text(max_size=3).map(json.dumps)
    | st.lists(st.integers(), max_size=2).map(json.dumps)
)
VALID: dict[FeatureType, st.SearchStrategy[Any]] = {
    FeatureType.NUMBER: st.floats(-FLOAT32_MAX, FLOAT32_MAX) | st.integers(-(10**30), 10**30),
    FeatureType.INTEGER: st.integers(-(2**31), 2**31 - 1) | st.integers(-1000, 1000).map(float),
    FeatureType.LONG: st.integers(-(2**63), 2**63 - 1) | st.integers(-1000, 1000).map(float),
    FeatureType.BOOLEAN: st.booleans(),
}


def valid(feature: Feature) -> st.SearchStrategy[str]:
    """Values that the feature may have, as JSON text."""
    return (st.sampled_from(feature.categories) if feature.categories else VALID[feature.type]).map(json.dumps)


# Mostly valid, or hardly an instance of ten features would be.
INSTANCES = st.fixed_dictionaries(
    {},
    optional={feature.name: st.one_of(*[valid(feature)] * 9, VALUES) for feature in SIGNATURE.features}
    | {"unheard of": st.nothing() | VALUES},
)


def as_text(instance: dict[str, str]) -> str:
    """An instance of values in JSON text."""
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in instance.items()) + "}"


def codec_accepts(text: str, *, unknown_is_missing: bool) -> bool:
    """What `POST /predict` says."""
    try:
        DECODER.decode(f'{{"instances":[{text}]}}'.encode(), max_instances=1, unknown_is_missing=unknown_is_missing)
    except InvalidRequest:
        return False
    return True


def document_accepts(model: type[BaseModel], text: str) -> bool:
    """What `GET /openapi.json` says."""
    try:
        model.model_validate_json(text)
    except ValidationError:
        return False
    return True


def agree(instance: dict[str, str]) -> None:
    """All must say the same, under both policies: the codec, the model, and its JSON schema where the text is JSON."""
    text = as_text(instance)
    for policy, model in MODELS.items():
        accepted = codec_accepts(text, unknown_is_missing=policy)
        assert document_accepts(model, text) is accepted, (policy, text[:300])
        if not BEYOND_JSON & set(instance.values()):
            assert SCHEMAS[policy].is_valid(json.loads(text)) is accepted, (policy, text[:300])


@pytest.mark.parametrize("feature", SIGNATURE.features, ids=lambda feature: f"{feature.name} {feature.type}")
@given(value=VALUES)
@settings(max_examples=150)
def test_any_value_of_one_feature_is_judged_alike(feature: Feature, value: str) -> None:
    """Each type with values of all kinds: the limits, the wrong types, what JSON does not have."""
    agree({"class": "null", "a/b": "null"} | {feature.name: value})


@pytest.mark.parametrize("token", [*TOKENS, *map(json.dumps, NUMBERS)], ids=lambda token: token[:24])
def test_every_odd_value_is_judged_alike_by_every_type(token: str) -> None:
    """None of them is left to chance."""
    for name in NAMES:
        agree({"class": "null", "a/b": "null"} | {name: token})


@given(INSTANCES)
@example({})
@settings(max_examples=200)
def test_any_instance_is_judged_alike(instance: dict[str, str]) -> None:
    """Names that are missing or unknown, and several values at once."""
    agree(instance)
