"""Whether one model version may stand in for another, for callers who know only the other."""

from __future__ import annotations

from collections.abc import Iterator

from app.signature import Feature, FeatureType, Signature

# What a feature's values may be read as from now on, so that all that were valid still are, and mean the same.
_WIDER = {
    FeatureType.INTEGER: {FeatureType.LONG, FeatureType.NUMBER},
    FeatureType.LONG: {FeatureType.NUMBER},
}


def find_contradictions(old: Signature, new: Signature) -> list[str]:
    """
    Why instances that fit one signature would be refused by another, or mean something else.

    Further categories, further optional features and wider numbers are no contradiction, nor is another order.

    Returns
    -------
    list of str
        A reason for each feature that contradicts; empty if `new` may stand in for `old`.
    """
    features = {feature.name: feature for feature in new.features}
    known = {feature.name for feature in old.features}
    reasons = [reason for feature in old.features for reason in _compare(feature, features.get(feature.name))]
    strangers = (feature.name for feature in new.features if feature.required and feature.name not in known)
    return reasons + [f"{name!r} is new and required" for name in strangers]


def _compare(old: Feature, new: Feature | None) -> Iterator[str]:
    if new is None:
        yield f"{old.name!r} is gone"
        return
    if new.required and not old.required:
        yield f"{old.name!r} is required now"
    if new.type != old.type and new.type not in _WIDER.get(old.type, ()):
        yield f"{old.name!r} changes from {old.type} to {new.type}"
    elif gone := set(old.categories or ()) - set(new.categories or ()):
        yield f"{old.name!r} has no category {min(map(repr, gone))} any more"
