"""
The core of docker-compose.yml, really run: MLflow on PostgreSQL and S3, training and the service, by podman-compose.

Where no registry of images can be reached, images made here stand in for those of PostgreSQL and SeaweedFS.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml

from delivery.engine import Engine
from delivery.image import Build, build_image
from tests.processes import PROJECT, free_port
from tests.services import wait

pytestmark = pytest.mark.image

STAND_INS = Path(__file__).with_name("stand_ins")
ENVIRONMENT = PROJECT / "build" / "stores"
# moto and what it needs that MLflow does not; all of it is Python alone, whatever the interpreter.
MOTO = ("moto", "py_partiql_parser", "responses", "xmltodict")


@dataclass(frozen=True)
class Stack:
    """All of it, running."""

    engine: Engine
    project: str
    url: str

    def run(self, service: str, code: str) -> str:
        """What a line of Python in a service's container prints."""
        name = f"{self.project}_{service}_1"
        return self.engine.run("exec", name, "python", "-c", code, stdout=subprocess.PIPE)


@pytest.fixture(scope="module")
def images(
    engine: Engine,
    bases: tuple[str | None, str | None],
    serving: str,
    training: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Ours, and the two that stand in, under the names that the file has."""
    packages = ENVIRONMENT / "lib"
    if (
        not engine.is_podman
        or not shutil.which("podman-compose", path=str(ENVIRONMENT / "bin"))
        or not packages.exists()
    ):
        pytest.skip("it takes Podman, and podman-compose (requirements/install.sh stores build/stores)")
    mlflow = build_image(Build("mlflow", "cpu", *bases), engine)
    folder = tmp_path_factory.mktemp("stand-ins")
    shutil.copytree(STAND_INS, folder, dirs_exist_ok=True)
    (site_packages,) = ENVIRONMENT.glob("lib/python3*/site-packages")
    for package in [path for name in MOTO for path in site_packages.glob(f"{name}*")]:
        copy = shutil.copytree if package.is_dir() else shutil.copy
        copy(package, folder / "packages" / package.name)
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    for service, registry in (("postgres", "docker.io/library/"), ("s3", "docker.io/")):
        options = [
            "--quiet",
            "--network",
            "host",
            "--format",
            "docker",
            "--build-arg",
            f"MLFLOW_IMAGE=localhost/{mlflow}",
        ]
        options += ["--file", str(folder / f"{service}.Dockerfile"), "--tag", registry + services[service]["image"]]
        engine.run("build", *options, str(folder))


@pytest.fixture(scope="module")
def stack(engine: Engine, images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Started as `make up` does it, on ports of its own, and gone with its volumes."""
    folder = tmp_path_factory.mktemp("compose")
    project, port = f"treeserve-test-{os.getpid()}", free_port()
    passwords = folder / "passwords"
    passwords.write_text("POSTGRES_PASSWORD=a-password\nS3_SECRET_KEY=a-secret-key\nGRAFANA_PASSWORD=another\n")
    command = [str(ENVIRONMENT / "bin" / "podman-compose"), "--podman-path", str(STAND_INS / "podman")]
    command += ["--env-file", str(passwords), "-p", project, "-f", str(PROJECT / "docker-compose.yml")]
    environment = os.environ | {"TREESERVE_PORT": str(port), "MLFLOW_PORT": str(free_port())}
    try:
        with (folder / "output").open("w") as output:
            up = [*command, "up", "--detach", "--no-build"]
            subprocess.run(up, env=environment, stdout=output, stderr=output, check=True, timeout=900)
        yield Stack(engine, project, f"http://127.0.0.1:{port}")
    finally:
        subprocess.run([*command, "down", "--volumes"], env=environment, capture_output=True, check=False, timeout=120)


def test_what_was_trained_is_served(stack: Stack) -> None:
    """By the service's own start: training ended well before it, and its files came through MLflow."""
    for _ in wait(120, every_s=0.5):
        try:
            if httpx2.get(f"{stack.url}/readyz", trust_env=False).status_code == 200:
                break
        except httpx2.TransportError:
            continue
    body = httpx2.get(f"{stack.url}/model", trust_env=False).json()["input_example"]
    answer = httpx2.post(f"{stack.url}/predict", json=body, trust_env=False).json()
    assert answer["model"] == {"name": "flight-delay", "version": "1"}
    lines = stack.run("treeserve", "print(open('/var/log/treeserve/payload.log').read())").split("\n")
    assert json.loads(lines[0])["http.request.id"] == answer["request_id"]


@pytest.mark.parametrize(("service", "reached"), [("treeserve", False), ("mlflow", True)])
def test_the_stores_are_mlflows_alone(stack: Stack, service: str, reached: bool) -> None:
    """The service does not even find their names."""
    code = (
        "import socket\ntry: socket.create_connection(('s3', 8333), 3)\nexcept OSError: print(False)\nelse: print(True)"
    )
    assert stack.run(service, code).strip() == str(reached)


def test_it_goes_on_without_mlflow(stack: Stack) -> None:
    """Whose container is stopped: what serves serves on."""
    stack.engine.run("stop", f"{stack.project}_mlflow_1")
    assert httpx2.get(f"{stack.url}/readyz", trust_env=False).status_code == 200
