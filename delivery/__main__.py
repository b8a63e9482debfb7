"""The command line of what builds and delivers: ``python -m delivery``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from delivery.audit import EXCEPTIONS, audit, read_exceptions
from delivery.deploy import deploy
from delivery.engine import find_engine
from delivery.errors import DeliveryFailed
from delivery.image import ROOT, Build, build_image
from delivery.kubectl import Deployment
from delivery.release import make_release


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m delivery", description="Build what is delivered.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    image = commands.add_parser("image", help="build an image with Docker or Podman")
    image.add_argument(
        "targets",
        nargs="+",
        choices=("serving", "baked", "training", "mlflow"),
        metavar="TARGET",
        help="the Dockerfile's",
    )
    image.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what XGBoost computes on [cpu]")
    image.add_argument("--base-image", metavar="IMAGE", help="what to build on; the Dockerfile's own by default")
    image.add_argument("--build-image", metavar="IMAGE", help="the same, with a compiler and pip")
    image.add_argument("--model-uri", metavar="URI", help="the model version that is baked into `baked`")
    image.set_defaults(run=_build_image)
    materials = commands.add_parser("materials", help="list what is in images: CycloneDX, and licences")
    materials.add_argument("targets", nargs="+", choices=("serving", "training", "mlflow"), metavar="TARGET")
    materials.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="whose images [cpu]")
    materials.set_defaults(run=_write_materials)
    audited = commands.add_parser("audit", help="ask for known vulnerabilities of all that is locked")
    audited.add_argument("program", type=Path, metavar="PIP_AUDIT", help="where pip-audit is")
    audited.set_defaults(run=_audit)
    release = commands.add_parser("release", help="write a version and the changelog, commit and tag")
    release.add_argument("version", metavar="VERSION", help="such as 1.2.0; or which part grows: major, minor, patch")
    release.set_defaults(run=_make_release)
    deployed = commands.add_parser("deploy", help="roll an image out with kubectl, and back if it does not serve")
    deployed.add_argument("image", metavar="IMAGE", help="by its digest, as in ghcr.io/somebody/treeserve@sha256:…")
    deployed.add_argument("--namespace", default="treeserve", metavar="NAME", help="of the Deployment [treeserve]")
    deployed.add_argument(
        "--deployment", default="treeserve", metavar="NAME", help="whose image it becomes [treeserve]"
    )
    deployed.add_argument("--timeout", type=int, default=1800, metavar="S", help="for the pods to be ready [1800]")
    deployed.set_defaults(run=_deploy)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except DeliveryFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _build_image(given: argparse.Namespace) -> None:
    engine = find_engine()
    for target in given.targets:
        build = Build(target, given.device, given.base_image, given.build_image, given.model_uri)
        print(build_image(build, engine))


def _write_materials(given: argparse.Namespace) -> None:
    from delivery.materials import write_materials  # which needs what building an image does not

    engine = find_engine()
    for target in given.targets:
        for path in write_materials(engine, Build(target, given.device).tag, ROOT / "build" / "image", target):
            print(path.relative_to(ROOT))


def _audit(given: argparse.Namespace) -> None:
    exceptions = read_exceptions(ROOT / EXCEPTIONS, datetime.now(UTC).date())
    audit(given.program, sorted((ROOT / "requirements").glob("*.txt")), exceptions)


def _make_release(given: argparse.Namespace) -> None:
    tag = make_release(ROOT, given.version, datetime.now(UTC).date())
    print(f"{tag} is committed and tagged here. To publish it: git push --atomic origin HEAD {tag}")


def _deploy(given: argparse.Namespace) -> None:
    # What is told to end goes back first, as one does who is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    deployment = Deployment(given.namespace, given.deployment, "treeserve")
    deploy(deployment, given.image, given.timeout, lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
