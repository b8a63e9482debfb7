"""The kernel under the compiler's sanitizers: damaged boosters make it neither read nor write what is not its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import PROJECT
from tests.sanitizers import build_sanitized_kernel, run_sanitized

SOURCES = PROJECT / "app" / "forest" / "kernel"


def test_damaged_boosters_are_refused_or_answered(tmp_path: Path) -> None:
    """For a few seconds here; `make fuzz` goes on for longer."""
    ended = run_sanitized(build_sanitized_kernel(tmp_path, SOURCES), "tests.fuzz", "5", "1")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "'answered'" in ended.stdout
    assert "'refused by the kernel'" in ended.stdout


@pytest.mark.parametrize(
    "check",
    ["at + distance + 1 >= end", "set > forest->n_sets || forest->n_sets - set < n_words"],
)
def test_a_kernel_without_a_check_is_found_out(tmp_path: Path, check: str) -> None:
    """The damage is enough to matter, and the sanitizers see it."""
    folder = tmp_path / "kernel"
    folder.mkdir()
    for source in SOURCES.iterdir():
        text = source.read_text(encoding="utf-8")
        assert (check in text) is (source.name == "module.c")
        (folder / source.name).write_text(text.replace(check, "0"), encoding="utf-8")
    ended = run_sanitized(build_sanitized_kernel(tmp_path, folder), "tests.fuzz", "60", "1")
    assert ended.returncode != 0
    assert "ERROR: AddressSanitizer" in ended.stderr
