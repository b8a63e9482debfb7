"""Random values of a model's features: by its reference profile, or near the input example where it has none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from random import Random
from typing import Any, TypeVar

from app.bodies.served_model import ServedModel
from app.profile import CategoryProfile, NumberProfile
from app.signature import Category, Feature, FeatureType
from app.wire.features import FLOAT32_MAX, INTEGER_BITS

Profile = NumberProfile | CategoryProfile | None
T = TypeVar("T")
Draw = Callable[[Random], T]

_MISSING_SHARE = 0.1  # of an optional feature that is not profiled
_N_DIGITS = 3  # that tell the numbers of one bin apart, or one more: callers send 39.02 and not 39.019999981
_LIMITS: dict[FeatureType, tuple[float, float]] = {
    FeatureType.NUMBER: (-FLOAT32_MAX, FLOAT32_MAX),
    FeatureType.BOOLEAN: (0, 1),
    **{kind: (-(1 << bits), (1 << bits) - 1) for kind, bits in INTEGER_BITS.items()},
}


def build_draws(model: ServedModel) -> dict[str, Draw[Any]]:
    """One function a feature, by the feature's name, for values that the service accepts; None is a missing one."""
    profiles = {profile.name: profile for profile in model.profile.features} if model.profile else {}
    example = model.input_example.instances[0]
    return {
        feature.name: _build_draw(feature, profiles.get(feature.name), example.get(feature.name))
        for feature in model.signature.features
    }


def _build_draw(feature: Feature, profile: Profile, example: Any) -> Draw[Any]:
    if profile is None:
        missing_share = 0.0 if feature.required else _MISSING_SHARE
    else:
        missing_share = profile.n_missing / max(1, profile.n_missing + sum(profile.counts))
    draw = (
        _build_category_draw(feature, profile) if feature.categories else _build_number_draw(feature, profile, example)
    )
    return lambda random: None if random.random() < missing_share else draw(random)


def _build_category_draw(feature: Feature, profile: Profile) -> Draw[Category]:
    counted: dict[Category, int] = {}
    if isinstance(profile, CategoryProfile):
        counted.update(zip(profile.categories, profile.counts, strict=True))
    categories = feature.categories or ()
    return _choice(categories, [counted.get(category, 0) for category in categories])


def _build_number_draw(feature: Feature, profile: Profile, example: Any) -> Draw[float]:
    if isinstance(profile, NumberProfile) and profile.minimum is not None and profile.maximum is not None:
        edges, counts = [profile.minimum, *profile.edges, profile.maximum], profile.counts
    else:
        edges, counts = _edges_near(example, feature.type), [1]
    lowest, highest = _LIMITS[feature.type]
    bins = list(pairwise(sorted(min(max(edge, lowest), highest) for edge in edges)))
    if feature.type is FeatureType.NUMBER:
        choose = _choice(bins, counts)
        return lambda random: _draw_number(random, *choose(random))
    choose_whole = _choice(_whole_numbers_in(bins), counts)
    if feature.type is FeatureType.BOOLEAN:
        return lambda random: bool(random.randint(*choose_whole(random)))
    return lambda random: random.randint(*choose_whole(random))


def _edges_near(example: Any, kind: FeatureType) -> list[float]:
    """Both ends of one bin around a value, or around 0 where there is none."""
    centre = example if isinstance(example, int | float) else 0
    reach = abs(centre) / 2 or 1.0
    if kind is not FeatureType.NUMBER:
        reach = max(reach, 1.0)
    return [centre - reach, centre + reach]


def _whole_numbers_in(bins: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """The first and the last whole number of each bin; a bin's upper edge belongs to the next one, if there is one."""
    whole = [[math.ceil(low), math.ceil(high) - 1] for low, high in bins]
    whole[-1][1] = math.floor(bins[-1][1])
    return [(first, max(first, last)) for first, last in whole]


def _draw_number(random: Random, low: float, high: float) -> float:
    value = random.uniform(low, high)
    if low == high:
        return value
    rounded = round(value, _N_DIGITS - math.floor(math.log10(high - low)))
    return rounded if low <= rounded < high else value


def _choice(values: Sequence[T], counts: Sequence[int]) -> Draw[T]:
    """One of the values, as often as it was counted; each as often as the others if none was."""
    totals = list(accumulate(counts if any(counts) else [1] * len(values)))
    return lambda random: random.choices(values, cum_weights=totals)[0]
