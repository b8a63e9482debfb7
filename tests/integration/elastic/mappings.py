"""What the templates say of fields."""

from __future__ import annotations

import json
from typing import Any

from tests.processes import PROJECT

FOLDER = PROJECT / "monitoring" / "elasticsearch"


def read_properties(template: dict[str, Any]) -> dict[str, str]:
    """Field types by dotted names."""
    found: dict[str, str] = {}

    def walk(fields: dict[str, Any], before: str) -> None:
        for name, mapping in fields.items():
            if "type" in mapping:
                found[before + name] = mapping["type"]
            walk(mapping.get("properties", {}), f"{before}{name}.")

    walk(template["template"].get("mappings", {}).get("properties", {}), "")
    return found


def read_types(dataset: str) -> dict[str, str]:
    """What the data stream of a dataset maps."""
    template = json.loads((FOLDER / "index_templates" / f"logs-treeserve.{dataset}.json").read_text())
    parts = [(FOLDER / "component_templates" / f"{name}.json").read_text() for name in template["composed_of"]]
    return {name: kind for part in [*map(json.loads, parts), template] for name, kind in read_properties(part).items()}
