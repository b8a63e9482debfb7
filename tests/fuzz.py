"""
Feeds the compiled parts what is damaged: they must refuse it, or answer, and never touch memory that is not their own.

``python -m tests.fuzz EXTENSION SECONDS [SEED]`` prints what became of it; under the sanitizers (``make fuzz``) a false
access ends it.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from app.errors import ModelUnfit
from app.forest import _kernel
from app.forest.document import read_learner
from app.forest.kernel_forest import FloatMatrix, KernelForest
from app.forest.learner import pack_learner
from app.forest.packing import NotCovered
from app.observed import _counting
from app.signature import Feature, FeatureType, Signature
from app.wire import _codec
from app.wire.exchange import Exchange
from app.wire.line_format import Redaction
from app.wire.log_lines import LineMaker
from app.wire.plain import make_codec
from tests.forests import KINDS, OBJECTIVES, WALKS, make_rows, raw_document, train, with_invalid_codes
from tests.lines import make_format
from tests.sanitizers import CODEC, COUNTING, KERNEL
from tests.unit.wire.bodies import PLAIN, REPEATED, SIGNATURE, UNKNOWN

Mutation = Callable[[bytes, np.random.Generator], bytes]
_INTERESTING = np.array(
    [0, 1, 2, 31, 63, 64, 127, 128, 255, 1 << 16, 1 << 24, 1 << 30, (1 << 31) - 1, -1, -2, -(1 << 31)]
)


def flip_bits(raw: bytes, rng: np.random.Generator) -> bytes:
    """Some bits anywhere in the document."""
    data = np.frombuffer(raw, np.uint8).copy()
    at = rng.integers(0, len(data), rng.integers(1, 9))
    data[at] ^= (1 << rng.integers(0, 8, len(at))).astype(np.uint8)
    return data.tobytes()


def cut(raw: bytes, rng: np.random.Generator) -> bytes:
    """A piece taken out, or put in twice."""
    start, end = sorted(rng.integers(0, len(raw), 2))
    return raw[:start] + raw[end:] if rng.random() < 0.5 else raw[:end] + raw[start:]


def change_columns(raw: bytes, rng: np.random.Generator) -> bytes:
    """Numbers of a tree's columns: the document stays one, and only its content is wrong."""
    data = bytearray(raw)
    names = [b"left_children", b"right_children", b"split_indices", b"split_conditions", b"split_type", b"default_left",
             b"categories", b"categories_nodes", b"categories_segments", b"categories_sizes", b"tree_info",
             b"iteration_indptr", b"weight_drop"]  # fmt: skip
    for _ in range(rng.integers(1, 4)):
        name = names[rng.integers(len(names))]
        places = list(_find_columns(raw, name))
        if not places:
            continue
        start, kind, n_items = places[rng.integers(len(places))]
        if n_items:
            at = start + int(rng.integers(n_items)) * kind.itemsize
            value = rng.choice(_INTERESTING) if rng.random() < 0.7 else rng.integers(-50, 50)
            with np.errstate(all="ignore"):
                data[at : at + kind.itemsize] = np.array(value).astype(kind).tobytes()
    return bytes(data)


def _find_columns(raw: bytes, name: bytes) -> Iterator[tuple[int, np.dtype[Any], int]]:
    """Where each typed array of this name begins, what it holds and how much."""
    kinds = {b"U": ">u1", b"i": ">i1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
    mark = name + b"[$"
    at = raw.find(mark)
    while at >= 0:
        head = at + len(mark)
        kind, length = raw[head : head + 1], raw[head + 2 : head + 3]
        if raw[head + 1 : head + 2] == b"#" and kind in kinds and length in kinds:
            length_kind = np.dtype(kinds[length])
            body = head + 3 + length_kind.itemsize
            yield body, np.dtype(kinds[kind]), int(np.frombuffer(raw[head + 3 : body], length_kind)[0])
        at = raw.find(mark, head)


MUTATIONS: tuple[Mutation, ...] = (change_columns, change_columns, change_columns, flip_bits, cut)


def change_arrays(arrays: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Numbers of what the kernel is given, past the checks that come before its own."""
    name = rng.choice(["nodes", "nodes", "nodes", "roots", "groups", "depths", "has_categories", "is_category", "sets"])
    data = bytearray(arrays[name])
    for _ in range(rng.integers(1, 4) if data else 0):
        at = int(rng.integers(len(data) // 4 or 1)) * 4
        if rng.random() < 0.5:
            data[at : at + 4] = int(rng.choice(_INTERESTING)).to_bytes(8, "little", signed=True)[
                : len(data[at : at + 4])
            ]
        else:
            data[min(at + int(rng.integers(4)), len(data) - 1)] ^= 1 << int(rng.integers(8))
    changed = arrays | {str(name): bytes(data)}
    if rng.random() < 0.1:
        changed["n_codes"] = int(rng.integers(1 << 12))
    return changed


def fuzz_kernel(seconds: float, seed: int) -> Counter[str]:
    """Try damaged boosters for so long; how often what became of them."""
    rng = np.random.default_rng(seed)
    documents = [
        raw_document(train({"objective": objective, **OBJECTIVES[objective], **KINDS[kind]}, n_rounds=4)[0])
        for objective in ("binary:logistic", "multi:softprob")
        for kind in ("by depth", "deep", "dart", "one category against the rest")
    ]
    arrays = [pack_learner(read_learner(raw), None) for raw in documents]
    rows = np.vstack([make_rows(70, seed), with_invalid_codes(make_rows(70, seed))])
    became: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if rng.random() < 0.5:
            became[_try_document(documents[rng.integers(len(documents))], rows, rng)] += 1
        else:
            became[_try_arrays(arrays[rng.integers(len(arrays))], rows, rng)] += 1
    return became


def _try_document(raw: bytes, rows: FloatMatrix, rng: np.random.Generator) -> str:
    raw = MUTATIONS[rng.integers(len(MUTATIONS))](raw, rng)
    try:
        learner = read_learner(raw)
    except (KeyError, TypeError, ValueError):
        return "no document"
    try:
        forest = KernelForest.of_learner(learner, n_rounds=None, walk=str(rng.choice(WALKS)))
    except (ModelUnfit, NotCovered):
        return "refused"
    if forest.n_features == rows.shape[1]:
        for matrix in (rows, rows[:1], rows[-70:]):
            forest.margins(matrix)
            forest.predictions(matrix)
    return "answered"


def _try_arrays(arrays: dict[str, Any], rows: FloatMatrix, rng: np.random.Generator) -> str:
    n_groups = len(arrays["base_scores"]) // 4
    try:
        forest = _kernel.Forest(**change_arrays(arrays, rng), walk=str(rng.choice(WALKS)))
    except ValueError:
        return "refused by the kernel"
    if len(arrays["is_category"]) == rows.shape[1]:
        for matrix in (rows, rows[:1], rows[-70:]):
            forest.margins(matrix, np.empty((len(matrix), n_groups), dtype=np.float32))
    return "answered by the kernel"


_PIECES = [b'"', b"\\", b",", b":", b"{", b"}", b"[", b"]", b"-", b".", b"e", b"0", b"9" * 30, b"null", b"true", b" ",
           b'"hour"', b'"carrier"', b'"AA"', b'"instances"', b"\0", b"\xff", b"1e-400", b"0." + b"1" * 70]  # fmt: skip


def _make_maker(rng: np.random.Generator, signature: Signature) -> LineMaker:
    """One under rules of its own, which perhaps no line can keep."""
    names = [feature.name for feature in signature.features]
    format_ = make_format(
        signature,
        '"b": 2, "c": ' * int(rng.integers(3)),
        n_typed=int(rng.integers(len(names) + 1)),
        max_line=int(rng.choice([0, 1, 400, 600, 2000])),
        redactions={name: Redaction(rng.choice(list(Redaction))) for name in names if rng.random() < 0.2},
        key=rng.bytes(int(rng.integers(33))),
    )
    return LineMaker(make_codec(signature), format_)


def _write_wide_lines(rng: np.random.Generator) -> None:
    """So many features that a wrong count of bytes is seen; hashes stand for them, and some are unknown."""
    signature = Signature(tuple(Feature(f"f{i}", FeatureType.CATEGORY, categories=("a",)) for i in range(99)))
    hashed = dict.fromkeys((feature.name for feature in signature.features), Redaction.HASH)
    body = json.dumps({"instances": [{name: rng.choice(["a", "b"]) for name in hashed}]}).encode()
    for redactions in (hashed, {}):
        for max_line in (0, 700, 5000):
            format_ = make_format(signature, n_typed=50, max_line=max_line, redactions=redactions)
            lines = LineMaker(make_codec(signature), format_).gather()
            lines.add(body, "0.5", "r", None, 0, 0)
            list(lines)


def fuzz_codec(seconds: float, seed: int) -> Counter[str]:
    """Try damaged bodies for so long, and answers that do not fit them."""
    rng = np.random.default_rng(seed)
    codec = make_codec(SIGNATURE)
    assert codec is not None
    became: Counter[str] = Counter()
    makers = [_make_maker(rng, SIGNATURE) for _ in range(50)]
    _write_wide_lines(rng)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        exchanges = [_make_exchange(rng) for _ in range(rng.integers(1, 4))]
        lines = makers[rng.integers(len(makers))].gather()
        for exchange in exchanges:
            read = codec.read(exchange.body, int(rng.integers(1, 5)), bool(rng.integers(2)), int(rng.integers(3)))
            became["left" if read is None else "read with unknown" if read[1] else "read"] += 1
            lines.add(*exchange)
        lines.tell([_make_predictions(rng, each.body) if rng.random() < 0.5 else None for each in exchanges])
        try:
            list(lines)
        except ValueError:
            became["not written"] += 1
        else:
            became[f"{len(exchanges)} written"] += 1
        values = np.frombuffer(rng.bytes(4 * int(rng.integers(1, 9))), np.float32)
        became["no text" if _codec.predictions(values, 0) is None else "text"] += 1
    return became


def _make_exchange(rng: np.random.Generator) -> Exchange:
    """A body that is often damaged, and predictions that often are not as many as its instances."""
    bodies = PLAIN + UNKNOWN + REPEATED
    body = bodies[rng.integers(len(bodies))].encode()
    for _ in range(rng.integers(0, 5) if rng.random() < 0.7 else 0):
        at, n_removed = int(rng.integers(len(body) + 1)), int(rng.integers(9))
        body = body[:at] + _PIECES[rng.integers(len(_PIECES))] + body[at + n_removed :]
    body = cut(body, rng) if rng.random() < 0.1 and body else body
    trace_id = "f" * 32 if rng.random() < 0.5 else None
    at_us = int(rng.integers(1 << 50))
    return Exchange(body, _make_predictions(rng, body), "r" * int(rng.integers(9)), trace_id, at_us, 0)


def _make_predictions(rng: np.random.Generator, body: bytes) -> str:
    """Often as many as the body has instances, and sometimes long ones."""
    likely = body.count(b'"hour"')
    told = ",".join(
        ["[0.5,1]" * int(rng.choice([1, 1, 1, 99]))] * int(rng.choice([likely, likely, likely, 0, 1, 2, 3]))
    )
    return told[: rng.integers(40)] if rng.random() < 0.2 else told


def fuzz_counting(seconds: float, seed: int) -> Counter[str]:
    """Try layouts that name what is not there, and values of every kind."""
    rng = np.random.default_rng(seed)
    became: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        columns, edges, codes, n_bins = [], int(rng.integers(4)), rng.integers(-1, 3, rng.integers(4)), 0
        for _ in range(rng.integers(1, 4)):
            kind, n = int(rng.integers(2)), int(rng.integers(4))
            bins = n + 2 if kind == 0 else int(rng.integers(2, 6))
            columns.append((int(rng.integers(4)), kind, int(rng.integers(2)), n, bins))
            n_bins += bins
        bits = rng.integers(0, 1 << 32, (int(rng.integers(3)), int(rng.integers(1, 4))), dtype=np.uint64)
        counts = np.zeros(n_bins + int(rng.random() < 0.1), np.int64)
        try:
            _counting.count(
                np.array(columns, np.uint32).tobytes(),
                np.sort(rng.normal(size=edges)).astype(np.float32).tobytes(),
                codes.astype(np.int32).tobytes(),
                [bits.astype(np.uint32).view(np.float32)],
                counts,
            )
        except ValueError:
            became["refused"] += 1
        else:
            became["counted"] += 1
            assert counts.sum() == len(bits) * len(columns)
    return became


if __name__ == "__main__":
    run = {KERNEL: fuzz_kernel, CODEC: fuzz_codec, COUNTING: fuzz_counting}[sys.argv[1]]
    print(dict(run(float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)))
