"""
A model's signature: the ordered, named and typed features that an instance may have.

It is put together from three places, and a contradiction between them refuses the model:
the booster has the word on order, names and categories, MLflow's signature on type and
required, and the card may spell out categories that the booster does not keep whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from app.errors import ModelUnfit

Category = str | int


class FeatureType(StrEnum):
    """What a value of the feature looks like in JSON."""

    NUMBER = "number"  # MLflow's float and double
    INTEGER = "integer"  # MLflow's integer: 32 bits
    LONG = "long"  # MLflow's long: 64 bits
    BOOLEAN = "boolean"
    CATEGORY = "category"  # one of a closed list of names


_FROM_MLFLOW = {
    "float": FeatureType.NUMBER,
    "double": FeatureType.NUMBER,
    "integer": FeatureType.INTEGER,
    "long": FeatureType.LONG,
    "boolean": FeatureType.BOOLEAN,
}


@dataclass(frozen=True)
class Feature:
    """
    One named column.

    Attributes
    ----------
    name : str
    type : FeatureType
    required : bool
        Whether the name must be present; `null` (a missing value) is allowed either way.
    categories : tuple of str or of int, or None
        In code order: the position of a name is the number XGBoost was trained with.
    """

    name: str
    type: FeatureType
    required: bool = False
    categories: tuple[Category, ...] | None = None

    @cached_property
    def codes(self) -> dict[Category, float]:
        """Each category's code, as XGBoost reads it."""
        return {category: float(code) for code, category in enumerate(self.categories or ())}

    @property
    def has_names(self) -> bool:
        """Whether its categories are names, and not numbers."""
        categories = self.categories or ()
        return bool(categories) and isinstance(categories[0], str)


@dataclass(frozen=True)
class Signature:
    """The features of a model in the booster's own order."""

    features: tuple[Feature, ...]

    @property
    def n_features(self) -> int:
        """How many columns the matrix has."""
        return len(self.features)


@dataclass(frozen=True)
class BoosterFeature:
    """
    What the booster itself knows of one feature.

    Attributes
    ----------
    name : str
    is_category : bool
    stored_categories : tuple of bytes or of int
        As XGBoost keeps them; empty when it kept none. Names are bytes because XGBoost 3.2 cuts
        the run of all names' bytes at counts of characters (dmlc/xgboost #12371): `Zürich`, `Oslo`
        are kept as the bytes of `Züric`, `hOsl`.
    """

    name: str
    is_category: bool
    stored_categories: tuple[bytes | int, ...] = ()


def build_signature(
    booster_features: Sequence[BoosterFeature],
    mlflow_inputs: Sequence[Mapping[str, Any]] | None,
    card_categories: Mapping[str, Sequence[Category]],
) -> Signature:
    """
    Put the signature together from the booster, MLflow's signature and the card.

    Parameters
    ----------
    booster_features : sequence of BoosterFeature
        In the booster's order, which is the matrix's order.
    mlflow_inputs : sequence of mapping, or None
        MLflow's column specs: ``{"name", "type", "required"}``; None if the model has none,
        and then every feature is optional.
    card_categories : mapping of feature name to categories in code order

    Raises
    ------
    ModelUnfit
        If two of the three contradict each other, or categories are not known for sure.
    """
    columns = None if mlflow_inputs is None else _columns_by_name(mlflow_inputs)
    names = [feature.name for feature in booster_features]
    if len(set(names)) != len(names):
        raise ModelUnfit("two features of the booster have the same name; rename one and train again")
    if columns is not None and set(columns) != set(names):
        raise ModelUnfit(
            "MLflow's signature and the booster name different features: "
            f"only in the signature {sorted(set(columns) - set(names))}, "
            f"only in the booster {sorted(set(names) - set(columns))}; log the model again "
            "with the signature of the columns it was trained on"
        )
    if strangers := sorted(set(card_categories) - {f.name for f in booster_features if f.is_category}):
        raise ModelUnfit(f"card.json lists categories for {strangers}, which the booster does not treat as categories")
    return Signature(
        tuple(
            _build_feature(feature, columns[feature.name] if columns is not None else None, card_categories)
            for feature in booster_features
        )
    )


def _columns_by_name(mlflow_inputs: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    columns: dict[str, Mapping[str, Any]] = {}
    for column in mlflow_inputs:
        name = column.get("name")
        if not isinstance(name, str):
            raise ModelUnfit("MLflow's signature has a column without a name; log the model with named columns")
        columns[name] = column
    return columns


def _build_feature(
    feature: BoosterFeature, column: Mapping[str, Any] | None, card_categories: Mapping[str, Sequence[Category]]
) -> Feature:
    required = bool(column.get("required", True)) if column is not None else False
    declared = column.get("type") if column is not None else None
    if feature.is_category:
        categories = _agreed_categories(feature, card_categories.get(feature.name))
        if declared is not None and declared != _mlflow_type_of(categories) and declared != "any":
            raise ModelUnfit(
                f"feature {feature.name!r} is categorical in the booster and {declared!r} in MLflow's signature; "
                f"declare it as {_mlflow_type_of(categories)!r}"
            )
        return Feature(feature.name, FeatureType.CATEGORY, required, categories)
    if declared is None:
        return Feature(feature.name, FeatureType.NUMBER, required)
    if not isinstance(declared, str) or declared not in _FROM_MLFLOW:
        raise ModelUnfit(
            f"feature {feature.name!r} is a number in the booster and {declared!r} in MLflow's signature; "
            f"declare it as one of {sorted(_FROM_MLFLOW)}"
        )
    return Feature(feature.name, _FROM_MLFLOW[declared], required)


def _mlflow_type_of(categories: tuple[Category, ...]) -> str:
    return "long" if isinstance(categories[0], int) else "string"


def _agreed_categories(feature: BoosterFeature, listed: Sequence[Category] | None) -> tuple[Category, ...]:
    """The categories in code order, if booster and card leave no doubt about them."""
    stored = feature.stored_categories
    if listed is None:
        if not stored:
            raise ModelUnfit(
                f"feature {feature.name!r} is categorical and the booster keeps no names for it (a sliced booster "
                "loses them); list its categories in code order in card.json"
            )
        unsure = [name for name in stored if isinstance(name, bytes) and not name.isascii()]
        if unsure:
            raise ModelUnfit(
                f"feature {feature.name!r} has non-ASCII categories, which XGBoost does not store whole "
                f"(such as {unsure[0]!r}); list its categories in code order in card.json"
            )
        agreed = tuple(name.decode("ascii") if isinstance(name, bytes) else name for name in stored)
    else:
        agreed = tuple(listed)
        if stored and not _are_same(stored, agreed):
            raise ModelUnfit(
                f"card.json and the booster disagree on the categories of {feature.name!r}: "
                f"the card lists {_shorten(agreed)}, the booster {_shorten(stored)}; "
                "write the card from the data that the booster was trained on"
            )
    if len(set(agreed)) != len(agreed) or len({type(category) for category in agreed}) != 1:
        raise ModelUnfit(f"the categories of {feature.name!r} repeat a name or mix names with numbers")
    return agreed


def _are_same(stored: Sequence[bytes | int], listed: Sequence[Category]) -> bool:
    if any(isinstance(category, int) for category in (*stored, *listed)):
        return tuple(stored) == tuple(listed)
    names = [name for name in stored if isinstance(name, bytes)]
    wanted = [name for name in listed if isinstance(name, str)]
    whole = [name.encode() for name in wanted]
    as_cut = list(map(len, names)) == list(map(len, wanted)) and b"".join(whole).startswith(b"".join(names))
    return names == whole or as_cut


def _shorten(names: Sequence[object], at_most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:at_most])
    return f"[{shown}, … {len(names)} in all]" if len(names) > at_most else f"[{shown}]"
