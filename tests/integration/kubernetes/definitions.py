"""The schemas of custom resources, as strict as the API server's answer to a field that it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator


def read_definitions(files: list[Path]) -> dict[tuple[str, str], Draft202012Validator]:
    """
    A validator for each custom resource.

    Returns
    -------
    dict of (str, str) to Draft202012Validator
        By ``apiVersion`` and ``kind``.
    """
    found = {}
    for file in files:
        for definition in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = _make_strict(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}  # the API server's own
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                found[key] = Draft202012Validator(schema)
    return found


def _make_strict(schema: Any) -> Any:
    """A structural schema as JSON Schema, to which each field is known or wrong."""
    if not isinstance(schema, dict):
        return schema
    made = {name: value for name, value in schema.items() if not name.startswith("x-kubernetes-")}
    if "properties" in made:
        made["properties"] = {key: _make_strict(value) for key, value in made["properties"].items()}
    for name in ("items", "additionalProperties"):
        if name in made:
            made[name] = _make_strict(made[name])
    if "properties" in made and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if schema.get("nullable"):
        made = {"anyOf": [made, {"type": "null"}]}
    return made
