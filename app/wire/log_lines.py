"""
Instances as lines of the payload log.

The compiled codec writes the same lines for bodies that are plain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol

from app.ecs import PREDICTION_DATASET, static_fields, timestamp
from app.line_sink import Piece
from app.model_version import ModelVersion
from app.signature import FeatureType, Signature
from app.wire.exchange import Decoded, Exchange

# What instances take as Python has them, beside the body they were read from.
_TIMES_AS_OBJECTS = 4


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


def members_before_other(role: str, version: ModelVersion) -> str:
    """
    What comes before the prediction of a version that answered nobody, its key included.

    Parameters
    ----------
    role : str
        ``challenger``, or ``champion`` where the challenger answered.
    version : ModelVersion
        Who predicted.
    """
    fields = {f"treeserve.{role}.version": version.version, f"treeserve.{role}.prediction": None}
    return json.dumps(fields)[1:-1].removesuffix("null")


class Lines(Protocol):
    """
    Lines of the payload log that are made when they are asked for, once.

    Attributes
    ----------
    n_bytes : int
        What is kept in memory until then, or about that.
    """

    @property
    def n_bytes(self) -> int:
        """See above."""

    def tell(self, others: list[str | None]) -> None:
        """
        Add to each request what a model version predicts that answered nobody.

        Parameters
        ----------
        others : list of str or None
            For each request, as `Exchange.predictions`; None where there is nothing to tell.
        """

    def __iter__(self) -> Iterator[Piece]:
        """Whole lines, and how many they are."""


class EncodedLines:
    """The lines of one request that was not plain; `Lines` says what the members are."""

    def __init__(
        self, signature: Signature, common: str, before_other: str, exchange: Exchange, decoded: Decoded
    ) -> None:
        self.n_bytes = _TIMES_AS_OBJECTS * len(exchange.body)
        self._request = (signature, common, before_other, exchange, decoded)
        self._others: str | None = None

    def tell(self, others: list[str | None]) -> None:
        """One request has one text."""
        (self._others,) = others

    def __iter__(self) -> Iterator[Piece]:
        """All at once."""
        yield encode_lines(*self._request, self._others), len(self._request[-1].matrix)


def encode_lines(
    signature: Signature, common: str, before_other: str, exchange: Exchange, decoded: Decoded, others: str | None
) -> bytes:
    """
    Write a line for each instance.

    Parameters
    ----------
    signature : Signature
    common : str
        What all lines have, as members of a JSON object.
    before_other : str
        What comes before the other prediction, where there is one.
    exchange : Exchange
    decoded : Decoded
        What was read of its body, which was not plain.
    others : str or None
        What another version predicts, as `exchange.predictions`.
    """
    assert decoded.instances is not None
    start = {"@timestamp": timestamp(exchange.at_us / 1e6)}
    if exchange.trace_id:
        start["trace.id"] = exchange.trace_id
    head = json.dumps({**start, "event.duration": exchange.duration_ns, "http.request.id": exchange.request_id})[:-1]
    predictions = json.loads(f"[{exchange.predictions}]")
    told = json.loads(f"[{others}]") if others else [None] * len(predictions)
    kinds = {feature.name: feature.type for feature in signature.features}
    lines = []
    for index, (instance, prediction, other) in enumerate(zip(decoded.instances, predictions, told, strict=True)):
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
        shadow = "" if other is None else f"{before_other}{json.dumps(other)}, "
        lines.append(f"{head}, {common}, {shadow}{json.dumps(fields)[1:]}\n")
    return "".join(lines).encode()
