"""Bodies of ``POST /predict`` to matrices: the plain ones quickly, all others with everything said that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import Fault
from app.signature import Signature
from app.wire.instances import InstancesReader
from app.wire.log_lines import encode_lines
from app.wire.plain import make_codec


@dataclass(frozen=True)
class Decoded:
    """
    What a request asks.

    Attributes
    ----------
    body : bytes
    matrix : numpy.ndarray of float32, shape (n_instances, n_features)
    instances : list of dict, or None
        As the caller sent them; None where the body is plain and they can be read again.
    unknown : dict of int to list of str
        The features of each instance whose category is unknown and predicted as missing.
    warnings : tuple of Fault
        The same for the caller, the first `MAX_LISTED_FAULTS` of them.
    """

    body: bytes
    matrix: npt.NDArray[np.float32]
    instances: list[dict[str, Any]] | None
    unknown: dict[int, list[str]]
    warnings: tuple[Fault, ...]


class InstancesDecoder:
    """Decodes bodies for one signature; built once a model version, safe to share."""

    def __init__(self, signature: Signature) -> None:
        self._codec = make_codec(signature)
        self._reader = InstancesReader(signature)
        self._signature = signature

    def decode(self, body: bytes, *, max_instances: int, unknown_is_missing: bool) -> Decoded:
        """
        Read a body.

        Parameters
        ----------
        body : bytes
            JSON text in UTF-8.
        max_instances : int
            More than that in one body are refused.
        unknown_is_missing : bool
            Whether an unknown category is a missing value, told in a warning, or a fault.

        Raises
        ------
        MalformedBody
            If it is not JSON.
        TooManyInstances
            If it has more than `max_instances`.
        InvalidRequest
            With every fault that it has, in the order of the instances.
        """
        rows = self._codec.read(body, max_instances) if self._codec else None
        if rows is not None:
            matrix = np.frombuffer(rows, np.float32).reshape(-1, self._signature.n_features)
            return Decoded(body, matrix, None, {}, ())
        read = self._reader.read(body, max_instances=max_instances, unknown_is_missing=unknown_is_missing)
        return Decoded(body, read.matrix, read.instances, read.unknown, tuple(read.warnings.listed))

    def encode_lines(self, decoded: Decoded, head: str, predictions: str) -> bytes:
        """
        Write the payload log's lines of a body that was decoded.

        Parameters
        ----------
        decoded : Decoded
            Of this decoder.
        head : str
            How each line begins: a JSON object that is open, up to the comma before its next member.
        predictions : str
            One JSON value an instance, with commas between.

        Returns
        -------
        bytes
            A whole line for each instance.
        """
        if decoded.instances is None:
            assert self._codec is not None
            lines = self._codec.lines(decoded.body, head.encode(), predictions.encode())
            assert lines is not None
            return lines
        return encode_lines(self._signature, decoded.instances, decoded.unknown, head, predictions)
