"""
The compiled codec: bodies that are plainly right, in one pass over their bytes, and predictions of ordinary sizes.

What it takes is valid, with the same numbers as `app.wire.instances` makes of it; whatever it does not take is left to
that, as is what it does not write to `app.wire.answer`.
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

from app.signature import Feature, FeatureType, Signature

try:
    from app.wire import _codec
except ImportError:  # no compiler at installation
    _codec = None  # type: ignore[assignment]

# The numbers of `Kind` in codec.h.
_NUMBER, _INTEGER, _LONG, _BOOLEAN, _NAME, _CODE = range(6)
_KINDS = {
    FeatureType.NUMBER: _NUMBER,
    FeatureType.INTEGER: _INTEGER,
    FeatureType.LONG: _LONG,
    FeatureType.BOOLEAN: _BOOLEAN,
}
_MAX_FEATURES = 1 << 20
_MAX_CATEGORIES = 1 << 24  # as codes, float32 holds no more exactly


def make_codec(signature: Signature) -> _codec.Codec | None:
    """
    The codec of a signature.

    Returns
    -------
    Codec or None
        None if it is not built, or a feature has a name that JSON writes with escapes, or too many categories.
    """
    if _codec is None or not 0 < signature.n_features <= _MAX_FEATURES:
        return None
    if not all(_is_plain(feature.name) for feature in signature.features):
        return None
    if any(len(feature.codes) > _MAX_CATEGORIES for feature in signature.features):
        return None
    return _codec.Codec(tuple(map(_describe, signature.features)))


def encode_plain(predictions: npt.NDArray[np.float32]) -> str | None:
    """
    Write predictions as `app.wire.answer.encode_predictions` does.

    Returns
    -------
    str or None
        None if the codec is not built, or one is not finite or of a size that probabilities do not have.
    """
    if _codec is None:
        return None
    return _codec.predictions(predictions, predictions.shape[1] if predictions.ndim > 1 else 0)


def _is_plain(text: str) -> bool:
    """Whether JSON may have it between quotes as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return json.dumps(text, ensure_ascii=False) == f'"{text}"'


def _describe(feature: Feature) -> tuple[bytes, bytes, int, bool, tuple[bytes, ...], tuple[float, ...]]:
    kind = (_NAME if feature.has_names else _CODE) if feature.type is FeatureType.CATEGORY else _KINDS[feature.type]
    # A category that is not plain is unknown to the codec, which leaves the body to the other decoder.
    known = [(str(name), code) for name, code in feature.codes.items() if _is_plain(str(name))]
    return (
        feature.name.encode(),
        f"{json.dumps(feature.name)}: ".encode(),
        kind,
        feature.required,
        tuple(name.encode() for name, _ in known),
        tuple(code for _, code in known),
    )
