"""
Writes the rules as Prometheus' operator takes them: ``python -m monitoring.prometheus.manifest``.

Kustomize reads no file above its own folder, and Prometheus no file that has more in it than rules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).with_name("rules.yml")
PLACE = Path(__file__).parents[2] / "k8s" / "components" / "rules" / "rules.yaml"
_HEADER = "# Written by `python -m monitoring.prometheus.manifest` from monitoring/prometheus/rules.yml; do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _write_text)


def build() -> str:
    """The file's text."""
    manifest: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "treeserve"},
        "spec": yaml.safe_load(RULES.read_text(encoding="utf-8")),
    }
    # The generator is a subclass of one without types.
    return _HEADER + str(yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=10_000))


if __name__ == "__main__":
    PLACE.write_text(build(), encoding="utf-8")
