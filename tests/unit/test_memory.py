"""The compiled parts under the compiler's sanitizers: whatever is damaged, they touch nothing but their own memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sanitizers import CODEC, COUNTING, KERNEL, SOURCES, build_sanitized, run_sanitized


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        (KERNEL, ("'answered'", "'refused by the kernel'")),
        (CODEC, ("'read'", "'left'", "'3 written'")),
        (COUNTING, ("'counted'", "'refused'")),
    ],
)
def test_what_is_damaged_is_refused_or_answered(tmp_path: Path, name: str, seen: tuple[str, ...]) -> None:
    """For a few seconds here; `make fuzz` goes on for longer."""
    ended = run_sanitized(build_sanitized(tmp_path, SOURCES[name]), name, "tests.fuzz", name, "2", "1")
    assert ended.returncode == 0, ended.stderr[-3000:]
    for word in seen:
        assert word in ended.stdout


@pytest.mark.parametrize(
    ("name", "check", "without"),
    [
        (KERNEL, "at + distance + 1 >= end", "0"),
        (KERNEL, "set > forest->n_sets || forest->n_sets - set < n_words", "0"),
        (COUNTING, "column->column >= n_columns ||", ""),
        (COUNTING, "end > layout->n_codes ||", ""),
        (CODEC, "at - start > MAX_CHARACTERS ||", ""),
        (CODEC, "nth >= codec->n_features || !take_string", "!take_string"),
        (CODEC, "whole->prediction.length + whole->before_other.length + whole->other.length", "0"),
        (CODEC, "(4 + 2 * HASH_BYTES)", "4"),
    ],
)
def test_a_check_less_is_found_out(tmp_path: Path, name: str, check: str, without: str) -> None:
    """The damage is enough to matter, and the sanitizers see it."""
    folder = tmp_path / "sources"
    folder.mkdir()
    texts = {source.name: source.read_text(encoding="utf-8") for source in SOURCES[name].iterdir()}
    assert sum(text.count(check) for text in texts.values()) == 1
    for file, text in texts.items():
        (folder / file).write_text(text.replace(check, without), encoding="utf-8")
    ended = run_sanitized(build_sanitized(tmp_path, folder), name, "tests.fuzz", name, "60", "1")
    assert ended.returncode != 0
    assert "ERROR: AddressSanitizer" in ended.stderr
