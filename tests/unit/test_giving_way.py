"""A batch gives its core to others again and again, in each of its parts; the kernel would take it only every 4 ms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PROJECT

COUNTER = "static int n; int sched_yield(void) { n++; return 0; } int n_yields(void) { return n; }"
PREPARE = """
import ctypes
from app.signature import Feature, FeatureType, Signature
from app.wire.plain import make_codec
n_yields = ctypes.CDLL(None).n_yields
codec = make_codec(Signature((Feature("x", FeatureType.NUMBER),)))
body = b'{"instances": [' + b",".join([b'{"x": 1.25}'] * 60_000) + b"]}"
"""
READ = """
before = n_yields()
assert codec.read(body, 60_000, False, 0)
"""
WRITE = """
from tests.lines import gather
lines = gather(Signature((Feature("x", FeatureType.NUMBER),)))
lines.add(body, ",".join(["0.5"] * 60_000), "r", None, 0, 0)
before = n_yields()
list(lines)
"""
EVALUATE = """
import numpy as np
from app.forest.kernel_forest import KernelForest
from tests.forests import learner_of, make_rows, train
forest = KernelForest.of_learner(learner_of(train({"objective": "binary:logistic"}, n_rounds=50)[0]), n_rounds=None)
matrix = np.tile(make_rows(100), (100, 1))
before = n_yields()
forest.predictions(matrix)
"""


@pytest.mark.parametrize(
    ("part", "n_expected"),
    [
        (READ, 900_000 // 65_536),
        (WRITE, 60_000 * 240 // (256 * 1024)),
        (EVALUATE, 10_000 * 50 // 50_000),
    ],
    ids=["read", "write", "evaluate"],
)
def test_a_batch_gives_way(tmp_path: Path, part: str, n_expected: int) -> None:
    """Counted at the C library's door."""
    source, library = tmp_path / "counter.c", tmp_path / "counter.so"
    source.write_text(COUNTER, encoding="utf-8")
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    ended = subprocess.run(
        [sys.executable, "-c", PREPARE + part + "print(n_yields() - before)"],
        cwd=PROJECT,
        env=os.environ | {"LD_PRELOAD": str(library)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert n_expected * 0.7 < int(ended.stdout) < n_expected * 1.5
