"""Bodies of ``POST /predict`` to matrices: the plain ones quickly, all others with everything said that is wrong."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.signature import Signature
from app.wire.exchange import Decoded
from app.wire.faults import MAX_LISTED_FAULTS
from app.wire.instances import InstancesReader
from app.wire.line_format import LineFormat
from app.wire.log_lines import LineMaker
from app.wire.plain import make_codec


class InstancesDecoder:
    """Decodes bodies for one signature; built once a model version, safe to share."""

    def __init__(self, signature: Signature) -> None:
        self._codec = make_codec(signature)
        self._reader = InstancesReader(signature)
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
        if self._codec is not None:
            plain = self._codec.read(body, max_instances, unknown_is_missing, MAX_LISTED_FAULTS)
            if plain is not None:
                rows, n_unknown, unknown = plain
                return Decoded(self._to_matrix(rows), None, {}, self._reader.warn(unknown, n_unknown))
        return self._reader.read(body, max_instances=max_instances, unknown_is_missing=unknown_is_missing)

    def read_plain(self, body: bytes, max_instances: int) -> npt.NDArray[np.float32] | None:
        """
        Read a body if it is plain and has no unknown category.

        Returns
        -------
        numpy.ndarray of float32, shape (n_instances, n_features), or None
        """
        read = None if self._codec is None else self._codec.read(body, max_instances, False, 0)
        return None if read is None else self._to_matrix(read[0])

    def line_maker(self, format_: LineFormat) -> LineMaker:
        """What makes the lines of the payload log of requests that this decoder has read."""
        return LineMaker(self._codec, format_)

    def _to_matrix(self, rows: bytes) -> npt.NDArray[np.float32]:
        return np.frombuffer(rows, np.float32).reshape(-1, self._n_features)
