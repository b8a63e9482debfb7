"""What was prepared is found again for the very files and the very software that it was made of, and for no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from app.model_version import ModelVersion
from app.preparation.prepared import Prepared, describe_software, place_of


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sources to change, instead of the service's own."""
    folder = tmp_path / "own"
    (folder / "forest").mkdir(parents=True)
    (folder / "forest" / "kernel_forest.py").write_text("pass")
    (folder / "forest" / "_kernel.so").write_bytes(b"\x7fELF")
    (folder / "VERSION").write_text("99.0")
    monkeypatch.setattr("app.preparation.prepared._OWN", folder)
    describe_software.cache_clear()
    yield folder
    describe_software.cache_clear()


def place(digest: str = "d") -> Path:
    """Where it would be, for the software as it is now."""
    describe_software.cache_clear()
    return place_of(digest, Path("/folder"))


def test_the_same_files_and_software_have_one_place() -> None:
    """In every process."""
    assert place() == place()
    assert place().parent == Path("/folder")


CHANGES: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "a line of code": lambda own, _: (own / "forest" / "kernel_forest.py").write_text("pass  # and more"),
    "the compiled kernel": lambda own, _: (own / "forest" / "_kernel.so").write_bytes(b"\x7fELF2"),
    "the processor": lambda _, patch: patch.setattr("app.preparation.prepared.quickest_walk", lambda: "sse"),
    "no kernel": lambda _, patch: patch.setattr("app.preparation.prepared.quickest_walk", lambda: None),
    "XGBoost": lambda own, patch: patch.setattr(Path, "with_name", lambda *_: own / "VERSION"),
    "numpy": lambda _, patch: patch.setattr(np, "__version__", "1.0"),
    "Python": lambda _, patch: patch.setattr("platform.python_version", lambda: "3.99"),
    "the machine": lambda _, patch: patch.setattr("platform.machine", lambda: "riscv64"),
    "the C library": lambda _, patch: patch.setattr("os.confstr", lambda _: "other 1.0"),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_other_software_has_another(own: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    """One difference is enough: what it found out is not what this would find out."""
    before = place()
    CHANGES[changed](own, monkeypatch)
    assert place() != before


def test_other_files_have_another() -> None:
    """Their digest says so."""
    assert place("d") != place("e")


def test_it_can_be_told_to_another_process(version: ModelVersion) -> None:
    """As JSON's own types, and back."""
    prepared = Prepared(version, Path("/a"), Path("/b"))
    assert Prepared.from_json(prepared.to_json()) == prepared
