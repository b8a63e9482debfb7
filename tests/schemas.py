"""
Writes ``app/schemas/`` from the pydantic models: ``python -m tests.schemas``.

A test holds the files and the models together.
"""

from __future__ import annotations

import json
from pathlib import Path

from app.artifacts import Artifact, Card, GoldenRows
from app.profile import ReferenceProfile

FOLDER = Path(__file__).parents[1] / "app" / "schemas"
MODELS: dict[str, type[Artifact]] = {"card": Card, "golden": GoldenRows, "profile": ReferenceProfile}


def render_schema(model: type[Artifact]) -> str:
    """The JSON schema (2020-12) of one kind of file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, model in MODELS.items():
        (FOLDER / f"{name}.schema.json").write_text(render_schema(model), encoding="utf-8")
