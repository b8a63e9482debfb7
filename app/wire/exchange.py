"""What a request asked and what it was answered, between the codec and the payload log."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from app.wire.faults import Faults

# The bits of the NaN that stands for an unknown category where it is predicted as missing; to a forest it is any NaN.
UNKNOWN_BITS = 0x7FC00001


class Decoded(NamedTuple):
    """
    What a request asks.

    Attributes
    ----------
    matrix : numpy.ndarray of float32, shape (n_instances, n_features)
        Categories as codes, missing values as NaN, unknown categories as the NaN of `UNKNOWN_BITS`.
    instances : list of dict, or None
        As the caller sent them; None where the body is plain and they can be read again.
    unknown : dict of int to list of str
        The features of each instance whose category is unknown and predicted as missing; empty where the body is plain.
    warnings : Faults
        The same for the caller.
    """

    matrix: npt.NDArray[np.float32]
    instances: list[dict[str, Any]] | None
    unknown: dict[int, list[str]]
    warnings: Faults


class Exchange(NamedTuple):
    """
    One request and its answer.

    Attributes
    ----------
    body : bytes
    predictions : str
        As `app.wire.answer.encode_predictions` writes them.
    request_id : str
        Printable ASCII.
    trace_id : str or None
    at_us : int
        When the request came, in microseconds since the epoch.
    duration_ns : int
        From the body's last byte to the answer's first.
    """

    body: bytes
    predictions: str
    request_id: str
    trace_id: str | None
    at_us: int
    duration_ns: int
