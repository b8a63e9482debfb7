"""The payload log's lines of requests that were not plain; of the others, the compiled codec writes the same."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from app.ecs import timestamp
from app.line_sink import Piece
from app.signature import Feature, FeatureType
from app.wire.exchange import Decoded, Exchange
from app.wire.line_format import Field, LineFormat

# What instances take as Python has them, beside the body they were read from.
_TIMES_AS_OBJECTS = 4
# What is longer is cut off, and its feature told: a keyword in Elasticsearch has a limit, and so has a person.
_MAX_CHARACTERS = 256
_HASH_BYTES = 16
# More than all that a line has beside its head, its cells and its answer.
_FIXED_BYTES = 384
_MEMBERS = {
    Field.NUMBER: "treeserve.features.number",
    Field.CATEGORY: "treeserve.features.category",
    Field.OTHER: "treeserve.features.other",
}


class _Cell(NamedTuple):
    """One member of an instance; name and value as JSON."""

    name: str
    field: Field
    value: str
    is_unknown: bool
    is_cut: bool


class EncodedLines:
    """The lines of one request; `app.wire.log_lines.Lines` says what the members are."""

    def __init__(self, format_: LineFormat, exchange: Exchange, decoded: Decoded) -> None:
        self.n_bytes = _TIMES_AS_OBJECTS * len(exchange.body)
        self._request = (format_, exchange, decoded)
        self._others: str | None = None

    def tell(self, others: list[str | None]) -> None:
        """One request has one text."""
        (self._others,) = others

    def __iter__(self) -> Iterator[Piece]:
        """All at once."""
        yield encode_lines(*self._request, self._others), len(self._request[-1].matrix)


def encode_lines(format_: LineFormat, exchange: Exchange, decoded: Decoded, others: str | None) -> bytes:
    """
    Write the lines of each instance.

    Parameters
    ----------
    format_ : LineFormat
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
    placed = {
        feature.name: (feature, field, is_hashed)
        for feature, field, is_hashed in zip(format_.signature.features, format_.fields, format_.hashed, strict=True)
    }
    lines: list[str] = []
    for index, (instance, prediction, other) in enumerate(zip(decoded.instances, predictions, told, strict=True)):
        cells = _write_cells(format_, placed, instance, decoded.unknown.get(index, ()))
        answer = f', "treeserve.prediction": {json.dumps(prediction)}'
        if other is not None:
            answer += f", {format_.before_other}{json.dumps(other)}"
        begin = f'{head}, {format_.common}, "treeserve.request.instance": {index}'
        line = f"{begin}{_join(cells)}{answer}}}\n"
        if format_.max_line and len(line) > format_.max_line:
            lines += _divide(begin, cells, answer, format_.max_line)
        else:
            lines.append(line)
    return "".join(lines).encode()


def _write_cells(
    format_: LineFormat,
    placed: Mapping[str, tuple[Feature, Field, bool]],
    instance: Mapping[str, Any],
    unknown: Collection[str],
) -> list[_Cell]:
    cells = []
    for name, value in instance.items():
        feature, field, is_hashed = placed[name]
        if value is None:
            continue
        shown, is_cut = value, False
        if feature.type is FeatureType.CATEGORY:
            # 10 and 10.0 are one category to the codec, and so in the log.
            text = str(int(value) if isinstance(value, float) else value)
            is_cut = len(text) > _MAX_CHARACTERS and not is_hashed and field is not Field.NOWHERE
            shown = _hash(text.encode(errors="surrogatepass"), format_.key) if is_hashed else text[:_MAX_CHARACTERS]
        elif is_hashed:
            shown = _hash(struct.pack("<f", value + 0.0), format_.key)  # -0 is 0
        elif isinstance(value, bool):
            shown = int(value)
        cells.append(_Cell(json.dumps(name), field, json.dumps(shown), name in unknown, is_cut))
    return cells


def _hash(value: bytes, key: bytes) -> str:
    return hashlib.blake2s(value, key=key, digest_size=_HASH_BYTES).hexdigest()


def _join(cells: Sequence[_Cell]) -> str:
    """What some cells of an instance say, as members with a comma before them."""
    written = ""
    for field, member in _MEMBERS.items():
        members = ", ".join(f"{cell.name}: {cell.value}" for cell in cells if cell.field is field)
        if members or field is not Field.OTHER:
            written += f', "{member}": {{{members}}}'
    if unknown := [cell.name for cell in cells if cell.is_unknown]:
        written += f', "treeserve.features.unknown": [{", ".join(unknown)}]'
    if cut := [cell.name for cell in cells if cell.is_cut]:
        written += f', "treeserve.features.cut": [{", ".join(cut)}]'
    return written


def _divide(begin: str, cells: Sequence[_Cell], answer: str, max_line: int) -> list[str]:
    """Several lines with some of the cells each; the answer stands in the first, alone if it is long."""
    parts: list[list[_Cell]] = [[]]
    room = max_line - len(begin) - _FIXED_BYTES
    left = room - len(answer)
    for cell in cells:
        n_bytes = (len(cell.name) + 4) * (1 + cell.is_unknown + cell.is_cut) + len(cell.value)
        if n_bytes > left and (parts[-1] or len(parts) == 1):
            parts.append([])
            left = room
        parts[-1].append(cell)
        left -= n_bytes
    return [
        f'{begin}, "treeserve.part": {part}, "treeserve.parts": {len(parts)}{_join(some)}{"" if part else answer}}}\n'
        for part, some in enumerate(parts)
    ]
