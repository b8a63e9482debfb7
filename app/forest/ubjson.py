"""
Universal Binary JSON, the encoding of XGBoost's ``.ubj`` files, read strictly.

XGBoost's own reader goes on past the end of a file that was cut, into whatever memory comes next, and may make
a booster of it. Source: UBJSON draft 12, as far as XGBoost 2 and 3 write it (``src/common/json.cc``): a length
stands before every name, text and array.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_MAX_DEPTH = 64  # XGBoost's documents have some ten levels

# Numbers by their marker: as struct reads one, and as NumPy reads an array of them. All are big-endian.
_NUMBERS = {
    marker: (struct.Struct(">" + one), np.dtype(">" + many))
    for marker, one, many in [
        (ord("i"), "b", "i1"),
        (ord("U"), "B", "u1"),
        (ord("I"), "h", "i2"),
        (ord("l"), "i", "i4"),
        (ord("L"), "q", "i8"),
        (ord("d"), "f", "f4"),
        (ord("D"), "d", "f8"),
    ]
}
_INTEGERS = frozenset(b"iUIlL")
_CONSTANTS = {ord("T"): True, ord("F"): False, ord("Z"): None}


class UbjsonError(ValueError):
    """The bytes are no whole document."""


def read_ubjson(raw: bytes) -> Any:
    """
    Read one document.

    Returns
    -------
    dict, list, str, int, float, bool, None or numpy.ndarray
        An array of numbers of one type is a NumPy array of that type, in the machine's byte order.

    Raises
    ------
    UbjsonError
        If it ends early, goes on after its end, or has something that XGBoost does not write.
    """
    reader = _Reader(raw)
    value = reader.read_value(reader.take_byte(), depth=0)
    if reader.at != len(raw):
        raise UbjsonError(f"{len(raw) - reader.at} bytes follow its end")
    return value


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.at = 0

    def take_byte(self) -> int:
        return self._take(1)[0]

    def read_value(self, marker: int, depth: int) -> Any:
        if marker in _NUMBERS:
            number = _NUMBERS[marker][0]
            return number.unpack(self._take(number.size))[0]
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == ord("S"):
            return self._read_text()
        if depth == _MAX_DEPTH:
            raise UbjsonError(f"it is nested more than {_MAX_DEPTH} levels deep at byte {self.at}")
        if marker == ord("{"):
            return self._read_object(depth + 1)
        if marker == ord("["):
            return self._read_array(depth + 1)
        raise UbjsonError(f"byte {self.at - 1} is no value: {bytes([marker])!r}")

    def _read_object(self, depth: int) -> dict[str, Any]:
        read: dict[str, Any] = {}
        while self._raw[self.at : self.at + 1] != b"}":
            name = self._read_text()
            if name in read:
                raise UbjsonError(f"the name before byte {self.at} stands in its object twice: {name[:80]!r}")
            read[name] = self.read_value(self.take_byte(), depth)
        self.at += 1
        return read

    def _read_array(self, depth: int) -> Any:
        kind = None
        if self._raw[self.at : self.at + 1] == b"$":
            self.at += 1
            kind = self.take_byte()
            if kind not in _NUMBERS:
                raise UbjsonError(f"byte {self.at - 1} is no type of numbers: {bytes([kind])!r}")
        if kind is None and self._raw[self.at : self.at + 1] != b"#":
            return self._read_until_closed(depth)
        if self.take_byte() != ord("#"):
            raise UbjsonError(f"the array with a type at byte {self.at - 1} has no count")
        n_items = self._read_length()
        if kind is None:
            return [self.read_value(self.take_byte(), depth) for _ in range(n_items)]
        dtype = _NUMBERS[kind][1]
        return np.frombuffer(self._take(n_items * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))

    def _read_until_closed(self, depth: int) -> list[Any]:
        items = []
        while (marker := self.take_byte()) != ord("]"):
            items.append(self.read_value(marker, depth))
        return items

    def _read_text(self) -> str:
        start = self.at
        try:
            return self._take(self._read_length()).decode()
        except UnicodeDecodeError:
            raise UbjsonError(f"the text at byte {start} is not UTF-8") from None

    def _read_length(self) -> int:
        marker = self.take_byte()
        if marker not in _INTEGERS:
            raise UbjsonError(f"byte {self.at - 1} is no length: {bytes([marker])!r}")
        length: int = self.read_value(marker, 0)
        if length < 0:
            raise UbjsonError(f"the length at byte {self.at} is negative")
        return length

    def _take(self, n_bytes: int) -> bytes:
        taken = self._raw[self.at : self.at + n_bytes]
        if len(taken) < n_bytes:
            raise UbjsonError(f"it ends early, after {len(self._raw)} bytes")
        self.at += n_bytes
        return taken
