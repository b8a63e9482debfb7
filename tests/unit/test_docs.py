"""The documents say what the code says: settings, codes and metrics are listed, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import opentelemetry.environment_variables
import opentelemetry.sdk.environment_variables
import pytest

from app import errors
from app.errors import FaultCode, ServingError
from app.setting_faults import PREFIX
from app.settings import Settings
from model.flights.features import FEATURES
from tests.exposed_metrics import ExposedMetric
from tests.schemas import FOLDER, MODELS, render_schema

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def table_rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the table's rows whose header begins with `heading`."""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def test_every_setting_is_documented_with_its_default_and_its_text() -> None:
    """The table of settings is the one of the code."""
    documented = {
        row[0].strip("`"): (row[1].strip("`"), row[2]) for row in table_rows("docs/configuration.md", "variable")
    }
    in_code = {
        PREFIX + name.upper(): (
            "" if field.default_factory or field.default is None else str(field.default),
            field.description,
        )
        for name, field in Settings.model_fields.items()
    }
    assert documented == in_code


def test_every_fault_code_is_documented() -> None:
    """The table of fault codes is the one of the code."""
    assert [row[0].strip("`") for row in table_rows("docs/api.md", "fault's `code`")] == list(FaultCode)


def test_every_error_is_documented_with_its_status() -> None:
    """The table of errors is the one of the code, and of what Starlette refuses by itself."""
    documented = {(int(row[0]), row[1].strip("`")) for row in table_rows("docs/api.md", "status")}
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServingError)]
    in_code = {(int(kind.status), kind.code) for kind in classes}
    assert documented == in_code | {(404, "not_found"), (405, "method_not_allowed")}


def test_every_metric_is_documented_with_its_labels(exposed: dict[str, ExposedMetric]) -> None:
    """The table of metrics is what /metrics shows."""
    documented = {}
    for name, text in table_rows("docs/operations.md", "metric"):
        found = re.fullmatch(r"`(\w+)`(?: \{(.*)\})?", name)
        assert found, name
        documented[found[1]] = (tuple(found[2].split(", ")) if found[2] else (), text)
    assert documented == {name: (metric.labels, metric.text) for name, metric in exposed.items()}


def test_the_variables_of_opentelemetry_are_those_of_its_sdk() -> None:
    """A name that is spelt otherwise would be without effect, and without a word."""
    for path in ("docs/configuration.md", "docs/operations.md", "app/tracing/environment.py"):
        named = set(re.findall(r"\bOTEL_[A-Z_]*[A-Z]\b", (ROOT / path).read_text(encoding="utf-8")))
        assert named
        assert named <= {*dir(opentelemetry.environment_variables), *dir(opentelemetry.sdk.environment_variables)}, path


def test_every_feature_of_the_example_is_documented() -> None:
    """The table of features is the one of the code."""
    kinds = {"string": "category", "double": "number", "long": "whole number"}
    in_code = [[f"`{f.name}`", kinds[f.type], "yes" if f.required else "", f.meaning] for f in FEATURES]
    assert table_rows("docs/training.md", "feature") == in_code


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    """A reader never follows a link into nothing."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("name", MODELS)
def test_the_schemas_are_those_of_the_models(name: str) -> None:
    """The JSON schemas for readers in other languages are up to date: `python -m tests.schemas` writes them."""
    assert (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8") == render_schema(MODELS[name])


def test_no_schema_is_left_over() -> None:
    """Every schema belongs to a model."""
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.schema.json" for name in MODELS}
