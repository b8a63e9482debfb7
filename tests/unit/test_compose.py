"""docker-compose.yml: whole, pinned, bounded, without a secret, and on this machine alone."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__
from app.setting_faults import PREFIX
from app.settings import Settings
from tests.processes import PROJECT


def load_strictly(text: str) -> Any:
    """As Compose itself reads YAML, which a key that is there twice ends; PyYAML, and older Composes, take the last."""

    class Loader(yaml.SafeLoader):
        """One that refuses such a key."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            assert len(keys) == len(set(keys)), f"{sorted({key for key in keys if keys.count(key) > 1})} twice"
            return super().construct_mapping(node, deep)

    return yaml.load(text, Loader)  # noqa: S506  a safe one


FILE = PROJECT / "docker-compose.yml"
TEXT = FILE.read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = load_strictly(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
ONE_SHOT = {"training", "logs-setup"}
SECRETS = {"POSTGRES_PASSWORD", "S3_SECRET_KEY", "GRAFANA_PASSWORD"}


def mounts(name: str) -> list[list[str]]:
    """Source, target and perhaps options of a service's mounts, with what a variable's default says."""
    return [re.sub(r"\$\{\w+:-([^}]*)}", r"\1", mount).split(":") for mount in SERVICES[name].get("volumes", [])]


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_compose_takes_the_file() -> None:
    """By the schema that it has."""
    command = ["docker-compose", "config", "--services"]
    given = os.environ | dict.fromkeys(SECRETS, "a password")
    ended = subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert set(ended.stdout.split()) == set(SERVICES)


def test_a_key_that_is_there_twice_is_seen() -> None:
    """Whatever reads the file here."""
    with pytest.raises(AssertionError, match="twice"):
        load_strictly("volumes: {a: }\nvolumes: {b: }\n")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_and_bounded_and_on_this_machine_alone(name: str) -> None:
    """What is built here has the project's version; the others name one that no registry changes by itself."""
    service = SERVICES[name]
    image, _, version = service["image"].rpartition(":")
    if "build" in service:
        assert image.partition("-")[0] == "treeserve"
        assert version == __version__
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    else:
        assert re.match(r"v?\d+\.\d+", version), service["image"]
    assert service["mem_limit"]
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []
    if name in ONE_SHOT:
        assert service.get("restart", "no") == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
        assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_when_what_it_needs_answers(name: str) -> None:
    """And no service waits for one that its own profiles do not start."""
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert wanted == {"condition": expected}
        assert set(SERVICES[other].get("profiles", [])) <= set(SERVICES[name].get("profiles", []))


def test_what_is_started_without_a_profile_is_the_core() -> None:
    """In the order of their start."""
    core = [name for name, service in SERVICES.items() if "profiles" not in service]
    assert core == ["postgres", "s3", "mlflow", "training", "treeserve"]


def test_the_stack_of_the_logs_has_one_version() -> None:
    """Filebeat, Elasticsearch and Kibana are made for each other."""
    images = [SERVICES[name]["image"].rpartition(":")[2] for name in ("elasticsearch", "kibana", "filebeat")]
    assert set(images) == {"8.19.13"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    """Files and folders of the project, which are only read, and volumes that have names."""
    for source, _, *options in mounts(name):
        if source.startswith("."):
            assert (PROJECT / source).exists()
            assert options == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


def test_every_volume_is_mounted() -> None:
    """None is left from a service that is gone."""
    assert set(COMPOSE["volumes"]) == {
        source for name in SERVICES for source, *_ in mounts(name) if not source.startswith(".")
    }


def test_settings_exist() -> None:
    """A variable with our prefix that a container has is one of the service's own, and one that the service takes."""
    given = SERVICES["treeserve"]["environment"]
    ours = {name.removeprefix(PREFIX).lower(): value for name, value in given.items() if name.startswith(PREFIX)}
    Settings.model_validate(ours)
    assert len(ours) == len(given) - 1  # the other is MLflow's address


def test_the_payload_log_is_where_filebeat_looks() -> None:
    """They share a folder, and the name in it is one that filebeat.yml reads."""
    file = Path(SERVICES["treeserve"]["environment"]["TREESERVE_PAYLOAD_LOG"])
    written, read = ({target: source for source, target, *_ in mounts(name)} for name in ("treeserve", "filebeat"))
    assert written[str(file.parent)] == read[SERVICES["filebeat"]["environment"]["TREESERVE_LOGS"]]
    assert f"/{file.name}*" in (PROJECT / "monitoring/filebeat/filebeat.yml").read_text(encoding="utf-8")


def test_no_secret_is_in_the_file() -> None:
    """Whatever is called one comes from outside, without a default, and says how to make it."""
    named = re.findall(r"^ +(\w*(?:PASSWORD|SECRET|TOKEN)\w*): (.*)$", TEXT, re.MULTILINE)
    assert len(named) >= len(SECRETS)
    assert [pair for pair in named if not re.fullmatch(r"\$\{\w+:\?make up [^}]+}", pair[1])] == []
    assert set(re.findall(r"\$\{(\w+):\?", TEXT)) == SECRETS


def test_only_mlflow_reaches_the_stores() -> None:
    """Their network leads nowhere, and neither the service nor training is in it or has a key."""
    assert COMPOSE["networks"] == {"default": None, "stores": {"internal": True}}
    assert {name for name, service in SERVICES.items() if "stores" in service.get("networks", [])} == {
        "postgres",
        "s3",
        "mlflow",
    }
    for name in ("training", "treeserve"):
        assert {key for key in SERVICES[name]["environment"] if key.startswith(("AWS", "PG", "POSTGRES"))} == set()


def test_prometheus_is_configured_as_elsewhere() -> None:
    """But for the names of what it asks."""
    folder = PROJECT / "monitoring" / "prometheus"
    there, here = ((folder / name).read_text(encoding="utf-8") for name in ("prometheus.yml", "prometheus.compose.yml"))
    for address, name in (("127.0.0.1:9093", "alertmanager:9093"), ("127.0.0.1:8080", "treeserve:8080")):
        assert there.count(address) == 1
        there = there.replace(address, name)
    assert yaml.safe_load(here) == yaml.safe_load(there)


def test_grafana_finds_its_dashboard_and_its_data() -> None:
    """What is provisioned names folders and services that docker-compose.yml has."""
    provisioning = PROJECT / "monitoring" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "treeserve.yml").read_text())["providers"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    dashboards = {target for source, target, *_ in mounts("grafana") if source.endswith("treeserve.json")}
    assert dashboards == {f"{provider['options']['path']}/treeserve.json"}
    assert dashboards == {SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]}
    assert source["url"] == "http://prometheus:9090"


def test_make_up_makes_passwords_once(tmp_path: Path) -> None:
    """Of this machine's own, for nobody else to read, and never over those that the volumes were made with."""
    shutil.copy(PROJECT / "Makefile", tmp_path)
    made = []
    for _ in range(2):
        subprocess.run(["make", "--silent", ".env"], cwd=tmp_path, capture_output=True, check=True, timeout=60)
        made.append((tmp_path / ".env").read_text())
    values = dict(line.split("=") for line in made[0].splitlines())
    assert made[0] == made[1]
    assert values.keys() == SECRETS
    assert len(set(values.values())) == len(SECRETS)
    assert min(map(len, values.values())) == 48
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    ignored = subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=PROJECT, check=False, timeout=60)
    assert ignored.returncode in (0, 128)  # git has no say outside a clone
