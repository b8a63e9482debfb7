"""Bodies of ``POST /predict`` to matrices: the plain ones quickly, all others with everything said that is wrong."""

from __future__ import annotations

import numpy as np

from app.signature import Signature
from app.wire.exchange import Decoded, Exchange
from app.wire.instances import InstancesReader
from app.wire.log_lines import encode_lines
from app.wire.plain import make_codec


class InstancesDecoder:
    """Decodes bodies for one signature; built once a model version, safe to share."""

    def __init__(self, signature: Signature) -> None:
        self._codec = make_codec(signature)
        self._reader = InstancesReader(signature)
        self._signature = signature
        self._n_features = signature.n_features

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
        plain = self.decode_plain(body, max_instances)
        if plain is not None:
            return plain
        read = self._reader.read(body, max_instances=max_instances, unknown_is_missing=unknown_is_missing)
        return Decoded(body, read.matrix, read.instances, read.unknown, tuple(read.warnings.listed))

    def decode_plain(self, body: bytes, max_instances: int) -> Decoded | None:
        """Read a body that is plain; None if it is not."""
        rows = None if self._codec is None else self._codec.read(body, max_instances)
        if rows is None:
            return None
        matrix = np.frombuffer(rows, np.float32).reshape(-1, self._n_features)
        return Decoded(body, matrix, None, {}, ())

    def encode_lines(self, common: str, exchange: Exchange, decoded: Decoded) -> bytes:
        """
        Write the payload log's lines of a request that this decoder has read.

        Parameters
        ----------
        common : str
            What all lines have, as members of a JSON object.
        exchange : Exchange
        decoded : Decoded
            What was read of its body.

        Returns
        -------
        bytes
            A whole line for each instance, in their order.
        """
        if decoded.instances is not None:
            return encode_lines(self._signature, common, exchange, decoded)
        return self.encode_plain_lines(common, [exchange])

    def encode_plain_lines(self, common: str, exchanges: list[Exchange]) -> bytes:
        """Write the same of several requests, in their order, whose bodies were plain."""
        assert self._codec is not None
        lines = self._codec.lines(common, exchanges)
        assert lines is not None
        return lines
