"""A service that follows its registry for years does not grow with every version."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from app.metrics import Metrics
from app.model_version import Role
from app.preparation.prepare import prepare
from app.preparation.prepared import Prepared
from app.rollout import Rollout
from app.standing import Standing
from tests.boosters import make_model, make_table, train_booster
from tests.services import FakeRegistry

STATM = Path("/proc/self/statm")
PAGE_BYTES = 4096
N_SWAPS = 1000


def resident_bytes() -> int:
    """What this process has in memory."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * PAGE_BYTES


@pytest.mark.skipif(not STATM.exists(), reason="this system does not say how much memory a process has")
def test_a_thousand_swaps_leave_memory_flat(tmp_path: Path) -> None:
    """Each version is half a megabyte; what was replaced is gone as soon as nobody holds it."""
    versions: list[Prepared] = []
    for number in ("7", "8"):
        table = make_table(4000, seed=int(number))
        target = (
            make_table(4000, seed=0)["wind"].fillna(0).to_numpy()
        )  # nothing that it could learn, so that it grows large
        booster = train_booster(table, target, {"objective": "reg:squarederror", "max_depth": 9}, rounds=120)
        registry = FakeRegistry(make_model(booster=booster, table=table).write(tmp_path / number), number)
        versions.append(prepare(registry.resolve("x"), registry, [tmp_path / "prepared"]))
        assert versions[-1].file.stat().st_size > 400_000
    rollout = Rollout(Metrics(CollectorRegistry()))
    body = json.dumps({"instances": [{"carrier": "UA", "hour": 5}]}).encode()

    def swap(n: int) -> None:
        for at in range(n):
            rollout.follow(Role.CHAMPION, Standing("models:/x@y", versions[at % 2]))
            matrix = rollout.current.decoder.read_plain(body, 1)
            assert matrix is not None
            rollout.current.forest.predictions(matrix)

    swap(100)
    before = resident_bytes()
    swap(N_SWAPS)
    assert resident_bytes() - before < 4_000_000  # one in a hundred of what would stay if nothing went
