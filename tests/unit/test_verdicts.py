"""A verdict holds for the very files and the very software that it was found with, and for nothing else."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.verdicts import Verdicts


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources to change, instead of the service's own."""
    folder = tmp_path / "own"
    (folder / "forest").mkdir(parents=True)
    (folder / "forest" / "kernel_forest.py").write_text("pass")
    (folder / "forest" / "_kernel.so").write_bytes(b"\x7fELF")
    monkeypatch.setattr("app.verdicts._OWN", folder)
    return folder


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    """The model's files, to change."""
    return shutil.copytree(model_folder, tmp_path / "model")


def test_nothing_is_known_of_a_model_that_was_never_verified(tmp_path: Path, copy: Path) -> None:
    """Nor is anything written by asking."""
    assert not Verdicts(tmp_path / "verdicts").holds(copy)
    assert not (tmp_path / "verdicts").exists()


def test_a_verdict_holds_for_every_process_and_wherever_the_files_are(tmp_path: Path, copy: Path) -> None:
    """It is bound to what they hold, not to their place."""
    Verdicts(tmp_path / "verdicts").record(copy)
    assert Verdicts(tmp_path / "verdicts").holds(copy)
    assert Verdicts(tmp_path / "verdicts").holds(shutil.copytree(copy, tmp_path / "moved"))


CHANGES: dict[str, Callable[[Path, Path, pytest.MonkeyPatch], object]] = {
    "a byte of the booster": lambda model, own, _: (model / "model.ubj").write_bytes(b"{}"),
    "a file more": lambda model, own, _: (model / "requirements.txt").write_text(""),
    "a line of code": lambda model, own, _: (own / "forest" / "kernel_forest.py").write_text("pass  # and more"),
    "the compiled kernel": lambda model, own, _: (own / "forest" / "_kernel.so").write_bytes(b"\x7fELF2"),
    "the processor": lambda model, own, patch: patch.setattr("app.verdicts.quickest_walk", lambda: "sse"),
    "no kernel": lambda model, own, patch: patch.setattr("app.verdicts.quickest_walk", lambda: None),
    "XGBoost": lambda model, own, patch: patch.setattr(Path, "with_name", lambda *_: own / "VERSION"),
    "numpy": lambda model, own, patch: patch.setattr(np, "__version__", "1.0"),
    "Python": lambda model, own, patch: patch.setattr("platform.python_version", lambda: "3.99"),
    "the machine": lambda model, own, patch: patch.setattr("platform.machine", lambda: "riscv64"),
    "the C library": lambda model, own, patch: patch.setattr("os.confstr", lambda _: "other 1.0"),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_anything_else_is_verified_anew(
    tmp_path: Path, copy: Path, own: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """One difference is enough."""
    verdicts = Verdicts(tmp_path / "verdicts")
    verdicts.record(copy)
    assert verdicts.holds(copy)
    (own / "VERSION").write_text("99.0")
    CHANGES[changed](copy, own, monkeypatch)
    assert not verdicts.holds(copy)


def test_without_xgboost_nothing_is_known(tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The software that a verdict was found with is not all there."""
    verdicts = Verdicts(tmp_path / "verdicts")
    verdicts.record(copy)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not verdicts.holds(copy)


def test_a_verdict_that_cannot_be_kept_is_said_and_does_no_harm(
    tmp_path: Path, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The cache folder may be read-only or full."""
    (tmp_path / "file").touch()
    with caplog.at_level(logging.INFO):
        Verdicts(tmp_path / "file" / "verdicts").record(copy)
    (message,) = caplog.messages
    assert "the next start verifies it again" in message
