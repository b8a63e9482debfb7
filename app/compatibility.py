"""Whether one model version may stand in for another, for callers who know only the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from app.errors import SignatureChanged
from app.signature import Feature, FeatureType, Signature

# Of XGBoost's objectives; what all others predict is on a scale of its own.
_PROBABILITIES = {"binary:logistic", "reg:logistic", "multi:softprob"}
_CLASSES = {"binary:hinge", "multi:softmax"}

_MAX_SHOWN = 5

# What a feature's values may be read as from now on, so that all that were valid still are, and mean the same.
_WIDER = {
    FeatureType.INTEGER: {FeatureType.LONG, FeatureType.NUMBER},
    FeatureType.LONG: {FeatureType.NUMBER},
}


class Scale(Enum):
    """What predictions are numbers of."""

    PROBABILITY = "probability"
    CLASS = "class"
    VALUE = "value"

    @classmethod
    def of(cls, objective: str) -> Scale:
        """That of an objective, by XGBoost's name for it."""
        if objective in _PROBABILITIES:
            return cls.PROBABILITY
        return cls.CLASS if objective in _CLASSES else cls.VALUE


@dataclass(frozen=True)
class Interface:
    """
    What callers know of a model version.

    Attributes
    ----------
    signature : Signature
        What it wants of them.
    scale : Scale
        What it answers.
    n_outputs : int
        How many numbers it answers to an instance.
    classes : tuple of str or None
        What each of them is the probability of, where the card says so.
    """

    signature: Signature
    scale: Scale
    n_outputs: int
    classes: tuple[str, ...] | None = None


def check_compatible(old: Interface, new: Interface) -> None:
    """
    Refuse an interface that callers of the old one would have to change for.

    Raises
    ------
    SignatureChanged
        With the first of the reasons.
    """
    if reasons := find_contradictions(old, new):
        shown = "; ".join(reasons[:_MAX_SHOWN]) + ("; …" if reasons[_MAX_SHOWN:] else "")
        raise SignatureChanged(
            f"callers of what serves would have to change: {shown}. If they are ready for it, set "
            "TREESERVE_SIGNATURE_POLICY=any"
        )


def find_contradictions(old: Interface, new: Interface) -> list[str]:
    """
    Why instances that one version accepts would be refused by another, or what is answered would mean something else.

    Further categories, further optional features and wider numbers are no contradiction, nor is another order.

    Returns
    -------
    list of str
        A reason for each feature, and for each property of the answers, that contradicts; empty if `new` may stand in
        for `old`.
    """
    features = {feature.name: feature for feature in new.signature.features}
    known = {feature.name for feature in old.signature.features}
    reasons = [reason for feature in old.signature.features for reason in _compare(feature, features.get(feature.name))]
    strangers = (f.name for f in new.signature.features if f.required and f.name not in known)
    reasons += [f"{name!r} is new and required" for name in strangers]
    if old.scale is not new.scale:
        reasons.append(f"a prediction changes from a {old.scale.value} to a {new.scale.value}")
    if old.n_outputs != new.n_outputs:
        reasons.append(f"an instance has {new.n_outputs} predictions instead of {old.n_outputs}")
    elif old.classes and new.classes:
        renamed = (pair for pair in zip(old.classes, new.classes, strict=True) if pair[0] != pair[1])
        reasons += [f"the probability of {was!r} changes to one of {now!r}" for was, now in renamed]
    return reasons


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
