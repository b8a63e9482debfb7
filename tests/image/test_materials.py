"""The lists of what is in the service's image, beside what is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from delivery.engine import Engine
from delivery.materials import write_materials
from tests.image.containers import run_once

pytestmark = pytest.mark.image

_INSTALLED = """
import json, importlib.metadata as m
paths = m.distributions()
print(json.dumps({d.name.lower(): d.version for d in paths}))
"""


@pytest.fixture(scope="module")
def document(engine: Engine, serving: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The CycloneDX document."""
    [path, _] = write_materials(engine, serving, tmp_path_factory.mktemp("materials"), "serving")
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found


def listed(document: dict[str, Any], kind: str) -> dict[str, str]:
    return {
        component["name"].lower(): component["version"]
        for component in document["components"]
        if component.get("purl", "").startswith(f"pkg:{kind}/")
    }


def test_python_in_the_image_finds_the_packages_that_are_listed(
    engine: Engine, serving: str, document: dict[str, Any]
) -> None:
    installed = json.loads(run_once(engine, serving, "python", "-c", _INSTALLED).stdout)
    assert installed.items() <= listed(document, "pypi").items()
    assert "treeserve" in installed


def test_dpkg_in_the_image_knows_the_packages_that_are_listed(
    engine: Engine, serving: str, document: dict[str, Any]
) -> None:
    asked = run_once(engine, serving, "dpkg-query", "--show", "--showformat", "${Package} ${Version}\n")
    assert asked.returncode == 0, asked.stderr
    assert dict(line.split() for line in asked.stdout.splitlines()) == listed(document, "deb")


def test_every_package_of_python_states_its_licence(document: dict[str, Any]) -> None:
    assert [
        component["name"]
        for component in document["components"]
        if component.get("purl", "").startswith("pkg:pypi/") and not component.get("licenses")
    ] == []


def test_the_document_says_which_commit_the_image_is_of(document: dict[str, Any]) -> None:
    told = {entry["name"]: entry["value"] for entry in document["metadata"]["component"]["properties"]}
    assert told["oci:label:org.opencontainers.image.revision"]
