"""
What renders the manifests and judges them; ``python -m tests.integration.kubernetes.tools`` installs it.

Kustomize and kube-score are built as Go modules, and other modules carry the schemas of the custom resources.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.processes import PROJECT
from tests.programs import run_program

_BUILD = PROJECT / "build" / "kubernetes"
_PATIENCE_S = 900
_MODULES = {
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.8.1",
    "kube-score": "github.com/zegl/kube-score/cmd/kube-score@v1.20.0",
}
_DEFINITIONS = {
    "github.com/kserve/kserve@v0.15.2": ["config/crd/full/serving.kserve.io_inferenceservices.yaml"],
    "sigs.k8s.io/gateway-api@v1.6.3": ["config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"],
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": [
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ],
}
# A changed version is a program that is not there.
KUSTOMIZE, KUBE_SCORE = (_BUILD / f"{name}-{module.partition('@')[2]}" for name, module in _MODULES.items())
DEFINITIONS = [
    _BUILD / f"{Path(path).stem}-{module.partition('@')[2]}.yaml"
    for module, paths in _DEFINITIONS.items()
    for path in paths
]
VALIDATE = _BUILD / "environment" / "bin" / "kubernetes-validate"


def missing() -> list[str]:
    """What is not installed."""
    return [path.name for path in (KUSTOMIZE, KUBE_SCORE, VALIDATE, *DEFINITIONS) if not path.is_file()]


def install() -> None:
    """
    Install what is not there yet.

    Raises
    ------
    OSError
        If something cannot be had.
    """
    _BUILD.mkdir(parents=True, exist_ok=True)
    for place, module in zip((KUSTOMIZE, KUBE_SCORE), _MODULES.values(), strict=True):
        if not place.is_file():
            with tempfile.TemporaryDirectory(dir=_BUILD) as folder:
                _go("install", "-trimpath", module, GOBIN=folder)
                [program] = Path(folder).iterdir()
                program.rename(place)
    places = iter(DEFINITIONS)
    for module, paths in _DEFINITIONS.items():
        for path, place in [(path, next(places)) for path in paths]:
            if not place.is_file():
                found = json.loads(_go("mod", "download", "-json", module))
                shutil.copyfile(Path(found["Dir"]) / path, place)


def _go(*command: str, **variables: str) -> str:
    try:
        with tempfile.TemporaryDirectory() as outside:  # of any module
            return run_program("go", *command, folder=Path(outside), patience_s=_PATIENCE_S, variables=variables)
    except FileNotFoundError:
        raise OSError("there is no Go; 1.24 or later is needed") from None


def main() -> int:
    """Install; 1 if something cannot be had."""
    try:
        install()
    except OSError as error:
        print(f"the manifests cannot be checked: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
