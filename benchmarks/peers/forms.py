"""The bodies that the servers take, and the predictions in what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Row = Sequence[int | float]


@dataclass(frozen=True)
class Form:
    """
    How rows become a request's body, and an answer's body predictions.

    Attributes
    ----------
    encode : callable of (sequence of str, sequence of rows) to bytes
        The features' names in order, and rows in the same order. The body is one line.
    decode : callable of bytes to list of float
        One prediction a row. Raises LookupError, TypeError or ValueError if the answer is of another form.
    """

    encode: Callable[[Sequence[str], Sequence[Row]], bytes]
    decode: Callable[[bytes], list[float]]


def _write(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _read_numbers(values: Any) -> list[float]:
    """Take a list of numbers, or of lists of one number each."""
    return [float(value[0] if isinstance(value, list) else value) for value in values]


def _lists(asked: str, answered: str) -> Form:
    """Rows as lists under one key, predictions as a list under another."""
    return Form(
        lambda _, rows: _write({asked: [list(row) for row in rows]}),
        lambda answer: _read_numbers(json.loads(answer)[answered]),
    )


def _encode_named(names: Sequence[str], rows: Sequence[Row]) -> bytes:
    return _write({"instances": [dict(zip(names, row, strict=True)) for row in rows]})


def _encode_tensor(names: Sequence[str], rows: Sequence[Row]) -> bytes:
    data = [value for row in rows for value in row]
    tensor = {"name": "rows", "datatype": "FP32", "shape": [len(rows), len(names)], "data": data}
    return _write({"inputs": [tensor]})


def _encode_split(names: Sequence[str], rows: Sequence[Row]) -> bytes:
    return _write({"dataframe_split": {"columns": list(names), "data": [list(row) for row in rows]}})


NAMED = Form(_encode_named, lambda answer: _read_numbers(json.loads(answer)["predictions"]))
TENSOR = Form(_encode_tensor, lambda answer: _read_numbers(json.loads(answer)["outputs"][0]["data"]))
SPLIT = Form(_encode_split, lambda answer: _read_numbers(json.loads(answer)["predictions"]))
INSTANCES = _lists("instances", "predictions")
INPUTS = _lists("inputs", "outputs")
DATA = Form(_lists("data", "").encode, lambda answer: _read_numbers(json.loads(answer)))
