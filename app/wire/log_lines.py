"""
Instances as lines of the payload log.

The compiled codec writes the same lines for bodies that are plain.
"""

from __future__ import annotations

import json

from app.ecs import PREDICTION_DATASET, static_fields, timestamp
from app.model_version import ModelVersion
from app.signature import FeatureType, Signature
from app.wire.exchange import Decoded, Exchange


def common_members(version: ModelVersion) -> str:
    """What all lines of a model version have, as members of a JSON object."""
    fields = {
        **static_fields("info", "prediction", "treeserve.prediction"),
        "event.dataset": PREDICTION_DATASET,
        "treeserve.model.name": version.name,
        "treeserve.model.version": version.version,
        "treeserve.model.alias": version.alias,
        "treeserve.model.run_id": version.run_id,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})[1:-1]


def encode_lines(signature: Signature, common: str, exchange: Exchange, decoded: Decoded) -> bytes:
    """
    Write a line for each instance.

    Parameters
    ----------
    signature : Signature
    common : str
        What all lines have, as members of a JSON object.
    exchange : Exchange
    decoded : Decoded
        What was read of its body, which was not plain.
    """
    assert decoded.instances is not None
    start = {"@timestamp": timestamp(exchange.at_us / 1e6)}
    if exchange.trace_id:
        start["trace.id"] = exchange.trace_id
    head = json.dumps({**start, "event.duration": exchange.duration_ns, "http.request.id": exchange.request_id})[:-1]
    predictions = json.loads(f"[{exchange.predictions}]")
    kinds = {feature.name: feature.type for feature in signature.features}
    lines = []
    for index, (instance, prediction) in enumerate(zip(decoded.instances, predictions, strict=True)):
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
        fields: dict[str, object] = {
            "treeserve.request.instance": index,
            "treeserve.features.number": numbers,
            "treeserve.features.category": categories,
            "treeserve.prediction": prediction,
        }
        if index in decoded.unknown:
            fields["treeserve.features.unknown"] = decoded.unknown[index]
        lines.append(f"{head}, {common}, {json.dumps(fields)[1:]}\n")
    return "".join(lines).encode()
