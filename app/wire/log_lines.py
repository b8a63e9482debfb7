"""Instances as lines of the payload log: by the compiled codec where bodies are plain, else by Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from app.ecs import PREDICTION_DATASET, static_fields
from app.line_sink import Piece
from app.model_version import ModelVersion
from app.wire.encoded_lines import EncodedLines
from app.wire.exchange import Decoded, Exchange
from app.wire.line_format import LineFormat

if TYPE_CHECKING:
    from app.wire import _codec

# A quote within a text has a backslash before it.
_FURTHER_PART = re.compile(rb'[^\\]"treeserve\.part": [1-9]')


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


def count_instances(lines: bytes) -> int:
    """Of how many instances whole lines are the first: the further parts of a line that was divided do not count."""
    return lines.count(b"\n") - len(_FURTHER_PART.findall(lines))


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
        """Whole lines, and of how many instances they are."""


class LineMaker:
    """
    Makes the lines of a model version in one role; never changed.

    Attributes
    ----------
    format : LineFormat
    """

    def __init__(self, codec: _codec.Codec | None, format_: LineFormat) -> None:
        self.format = format_
        self._compiled: _codec.Format | None = None
        if codec is not None:
            fields, hashed = bytes(format_.fields), bytes(format_.hashed)
            self._compiled = codec.format(
                format_.common, format_.before_other, fields, hashed, format_.key, format_.max_line
            )

    def gather(self) -> _codec.Lines:
        """Begin to gather plain requests, whose lines are made later."""
        assert self._compiled is not None
        return self._compiled.gather()

    def make(self, exchange: Exchange, decoded: Decoded) -> Lines:
        """The lines of a request that was read, one for each instance, in their order."""
        if decoded.instances is not None:
            return EncodedLines(self.format, exchange, decoded)
        lines = self.gather()
        lines.add(*exchange)
        return lines
