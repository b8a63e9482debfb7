"""Which project it is, said wrongly."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from model import project
from model.errors import ParameterInvalid
from model.project import load_project


@pytest.mark.parametrize("name", ["bikes", "training"])
def test_a_folder_without_a_project_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whether there is no such folder, or nothing of the kind in it."""
    monkeypatch.setattr(project, "PROJECT", name)
    with pytest.raises(ParameterInvalid, match=f"the project is '{name}', and there is no model/{name}/project.py"):
        load_project()


def test_a_project_that_is_not_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class alone is none."""
    monkeypatch.setattr(project, "PROJECT", "unmade")
    monkeypatch.setitem(sys.modules, "model.unmade", ModuleType("model.unmade"))
    monkeypatch.setitem(sys.modules, "model.unmade.project", ModuleType("model.unmade.project"))
    with pytest.raises(ParameterInvalid, match=r"model/unmade/project\.py does not end with"):
        load_project()


def test_what_a_project_needs_and_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By Python itself: the project is there."""
    (tmp_path / "project.py").write_text("import unheard_of")
    package = ModuleType("model.needy")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "model.needy", package)
    monkeypatch.setattr(project, "PROJECT", "needy")
    with pytest.raises(ModuleNotFoundError, match="unheard_of"):
        load_project()
