"""What a URI meant last is kept for the day on which the registry does not answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.model_version import ModelVersion
from app.preparation.last_verified import LastVerified
from app.preparation.prepared import Prepared


@pytest.fixture
def prepared(version: ModelVersion) -> Prepared:
    """Version 7, prepared."""
    return Prepared(version, Path("/folder"), Path("/file"))


def test_it_is_kept_by_uri_and_store(prepared: Prepared, tmp_path: Path) -> None:
    """Another store may call something else the same."""
    kept = LastVerified(tmp_path, "a")
    assert kept.recall("u") is None
    kept.remember("u", prepared)
    kept.remember("u", replace(prepared, version=replace(prepared.version, version="8")))
    kept.remember("v", prepared)
    assert kept.recall("u") == replace(prepared.version, version="8")
    assert LastVerified(tmp_path, "b").recall("u") is None


def test_its_files_may_come_from_the_cache(prepared: Prepared, tmp_path: Path) -> None:
    """Also where they are asked for anew while the registry answers, as those of a run are."""
    kept = LastVerified(tmp_path, "a")
    kept.remember("u", replace(prepared, version=replace(prepared.version, is_immutable=False)))
    recalled = kept.recall("u")
    assert recalled is not None
    assert recalled.is_immutable


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "x"}', b"\xff"])
def test_what_is_damaged_is_nothing(prepared: Prepared, tmp_path: Path, content: bytes) -> None:
    """A half-written disk must not keep the service from starting."""
    kept = LastVerified(tmp_path, "a")
    kept.remember("u", prepared)
    (file,) = (tmp_path / "last_verified").iterdir()
    file.write_bytes(content)
    assert kept.recall("u") is None


def test_what_cannot_be_kept_is_said(prepared: Prepared, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It serves all the same."""
    (tmp_path / "file").touch()
    version = replace(prepared.version, source="models:/x/1")
    LastVerified(tmp_path / "file", "a").remember("u", replace(prepared, version=version))
    assert "cannot be kept" in caplog.text


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder_is_there_without_a_registry(
    prepared: Prepared, tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    """Whichever way it is named."""
    (tmp_path / "file").touch()
    version = replace(prepared.version, source=str(tmp_path), is_immutable=False)
    LastVerified(tmp_path / "file", "a").remember(form.format(tmp_path), replace(prepared, version=version))
    assert caplog.text == ""
