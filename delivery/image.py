"""Builds the images: `make image`."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app import __version__
from delivery.engine import Engine
from delivery.errors import DeliveryFailed
from delivery.git import git
from delivery.index import write_secrets

ROOT = Path(__file__).parents[1]
_NAMES = {
    "serving": "treeserve",
    "baked": "treeserve-baked",
    "training": "treeserve-training",
    "mlflow": "treeserve-mlflow",
}


@dataclass(frozen=True)
class Build:
    """
    What is to be built.

    Attributes
    ----------
    target : str
        A target of the Dockerfile: ``serving``, ``training``, ``baked`` or ``mlflow``.
    device : str
        ``cpu`` or ``cuda``.
    base_image, build_image : str or None
        Other images to build on than the Dockerfile names.
    model_uri : str or None
        The model version that is baked in.
    """

    target: str
    device: str = "cpu"
    base_image: str | None = None
    build_image: str | None = None
    model_uri: str | None = None

    @property
    def tag(self) -> str:
        """The image's name and tag: the project's version, and the device unless it is the CPU."""
        suffix = "" if self.device == "cpu" else "-gpu"
        return f"{_NAMES[self.target]}:{__version__}{suffix}"


def build_image(build: Build, engine: Engine) -> str:
    """
    Build an image on this machine.

    Returns
    -------
    str
        Its name and tag.

    Raises
    ------
    DeliveryFailed
        If it cannot be built.
    """
    base = build.base_image or _default_base()
    if not engine.has(base):
        engine.run("pull", base)
    arguments = ["build", "--target", build.target, "--tag", build.tag]
    if build.build_image:
        arguments += ["--build-arg", f"BUILD_IMAGE={build.build_image}"]
    commit = _name_commit()
    for name, value in {"DEVICE": build.device, "BASE_IMAGE": base, "COMMIT": commit}.items():
        arguments += ["--build-arg", f"{name}={value}"]
    for name, value in _describe(engine, base).items():
        arguments += ["--label", f"org.opencontainers.image.{name}={value}"]
    if engine.is_podman:
        arguments += ["--format", "docker"]  # the other one has no HEALTHCHECK
    with tempfile.TemporaryDirectory() as folder:
        if build.model_uri:
            from delivery.baked_model import fetch_model  # which needs what the service needs

            arguments += ["--build-context", f"model={fetch_model(build.model_uri, Path(folder))}"]
        for name, path in write_secrets(Path(folder)).items():
            arguments += ["--secret", f"id={name},src={path}"]
        engine.run(*arguments, "--network", "host", str(ROOT))
    return build.tag


def _default_base() -> str:
    found = re.search(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def _describe(engine: Engine, base: str) -> dict[str, str]:
    """What the labels of an image say of where it comes from."""
    inspected = engine.inspect(base)
    digests = [digest.partition("@")[2] for digest in inspected.get("RepoDigests") or ()]
    return {
        "version": __version__,
        "created": git(ROOT, "log", "-1", "--format=%cI"),
        "base.name": base,
        "base.digest": digests[0] if digests else inspected["Id"],
    }


def _inputs() -> list[str]:
    """What images are made of: all else may change without changing them."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return ["Dockerfile", *(line.removeprefix("!") for line in lines if line.startswith("!"))]


def _name_commit() -> str:
    try:
        commit = git(ROOT, "rev-parse", "HEAD")
        return f"{commit}-dirty" if git(ROOT, "status", "--porcelain", "--", *_inputs()) else commit
    except DeliveryFailed as error:
        raise DeliveryFailed(f"an image says which commit it is of, and git does not know: {error}") from None
