"""Instances as lines of the payload log, for bodies that the compiled codec leaves alone; it writes the same lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.signature import FeatureType, Signature


def encode_lines(
    signature: Signature,
    instances: Sequence[Mapping[str, Any]],
    unknown: Mapping[int, Sequence[str]],
    head: str,
    predictions: str,
) -> bytes:
    """
    Write a line for each instance.

    Parameters
    ----------
    signature : Signature
    instances : sequence of mapping
        As the caller sent them, and valid.
    unknown : mapping of int to sequence of str
        The features of an instance whose category the model does not know.
    head : str
        How each line begins: a JSON object that is open, up to the comma before its next member.
    predictions : str
        One JSON value an instance, with commas between.
    """
    kinds = {feature.name: feature.type for feature in signature.features}
    lines = []
    for index, (instance, prediction) in enumerate(zip(instances, json.loads(f"[{predictions}]"), strict=True)):
        numbers: dict[str, float] = {}
        categories: dict[str, str] = {}
        for name, value in instance.items():
            if value is None:
                continue
            if kinds[name] is FeatureType.CATEGORY:
                # 10 and 10.0 are one category to the codec, and so in the log.
                categories[name] = str(int(value) if isinstance(value, float) else value)
            else:
                numbers[name] = int(value) if isinstance(value, bool) else value
        fields = {
            "treeserve.request.instance": index,
            "treeserve.features.number": numbers,
            "treeserve.features.category": categories,
            "treeserve.prediction": prediction,
        }
        if index in unknown:
            fields["treeserve.features.unknown"] = list(unknown[index])
        lines.append(f"{head}{json.dumps(fields)[1:]}\n")
    return "".join(lines).encode()
