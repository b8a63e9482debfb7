"""The alias moves while callers ask: no request fails, and every answer is right for the version that it names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.faults.conftest import Follow, Record
from tests.e2e.faults.registry import ALIAS_URI, Registry
from tests.services import wait

pytestmark = pytest.mark.faults


def test_swap_under_load(follow: Follow, registry: Registry, record: Record, tmp_path: Path) -> None:
    """The alias moves to another version, which is downloaded and verified meanwhile."""
    server = follow(TREESERVE_CACHE_DIR=str(tmp_path / "cache"))
    with registry.load(server.port) as load:
        load.go_on()
        registry.promote("2")
        took_s = load.wait_for("2")
        load.go_on()
    load.assert_flawless()
    assert set(load.by_version) == {"1", "2"}
    record(load, f"every answer is version 2's after {took_s:.1f} s")


def test_rollback_under_load(follow: Follow, registry: Registry, record: Record) -> None:
    """The alias moves to another version and back."""
    server = follow()
    registry.promote("2")
    with registry.load(server.port) as load:
        load.wait_for("2")
        registry.promote("1")
        took_s = load.wait_for("1")
        load.go_on()
    load.assert_flawless()
    record(load, f"every answer is version 1's again after {took_s:.1f} s")


def test_challenger_comes_answers_and_goes(follow: Follow, registry: Registry, record: Record, tmp_path: Path) -> None:
    """A challenger is named, answers half of the callers as a canary, is promoted, and its alias is deleted."""
    log = tmp_path / "payload.log"
    server = follow(
        TREESERVE_CHALLENGER_URI=ALIAS_URI.replace("champion", "challenger"),
        TREESERVE_CHALLENGER_SHARE="0.5",
        TREESERVE_PAYLOAD_LOG=str(log),
    )
    with registry.load(server.port) as load:
        load.go_on(100)
        assert set(load.by_version) == {"1"}
        registry.promote("2", alias="challenger")
        for _ in wait(90, every_s=0.05):
            if load.by_version["2"] > 200:
                break
        registry.promote("2")
        load.wait_for("2")
        load.go_on(100)
        registry.demote("challenger")
        load.go_on(100)
    load.assert_flawless()
    assert server.end() == 0
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == load.n_sent
    n_both = 0
    for line in lines:
        role = "champion" if line["treeserve.model.version"] == "2" else "challenger"
        if f"treeserve.{role}.prediction" in line:
            n_both += 1
            assert {line["treeserve.model.version"], line[f"treeserve.{role}.version"]} == {"1", "2"}
    assert n_both
    answered = ", ".join(f"{n:,} answers by version {version}" for version, n in sorted(load.by_version.items()))
    record(load, f"{answered}; {n_both:,} lines of the payload log have both predictions")


POISONED: dict[str, tuple[Callable[[Registry], str], str]] = {
    "wrong golden rows": (Registry.log_with_wrong_golden_rows, "answers golden row"),
    "a pickle": (Registry.log_pickled, "only 'xgboost' is served"),
    "a cut file": (Registry.log_truncated, "is not the file that card.json was written for"),
    "another signature": (Registry.log_with_another_signature, "'wind' is gone"),
}


def test_poisoned_versions(follow: Follow, registry: Registry, record: Record) -> None:
    """The alias moves to versions that must not serve, one after the other, and then to a good one."""
    poisoned = {log(registry): reason for log, reason in POISONED.values()}
    server = follow()
    with registry.load(server.port) as load:
        for version, reason in poisoned.items():
            registry.promote(version)
            for _ in wait(90, every_s=0.05):
                rejected = server.get("/model").json()["rollout"]["champion"]["rejected"]
                if rejected and rejected["version"] == version:
                    break
            assert reason in rejected["reason"]
        load.go_on()
        assert set(load.by_version) == {"1"}
        registry.promote("2")
        load.wait_for("2")
    load.assert_flawless()
    assert set(load.by_version) == {"1", "2"}
    record(load, f"{', '.join(POISONED)}: each rejected with its reason, and version 1 serves on; then version 2")
